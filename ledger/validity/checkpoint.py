"""An index as bytes, and back: what a process need not compute again from the log.

Columns go as they lie in memory, the rest as MessagePack. Nothing here decides whether the bytes may be trusted: the
file they lie in says of which log they are, and carries a digest (`ledger.service.checkpoints`).
"""

from __future__ import annotations

from array import array
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ledger.model.entry import Head
from ledger.validity.index import Condemned, Index
from ledger.validity.lookup import Divergence, Limit, Supersession, Withdrawal
from ledger.validity.trail import Fact

T = TypeVar("T")


class _Rare(msgspec.Struct, Generic[T]):
    """A `Fact`: what stands now, and what stood before."""

    now: dict[int, T]
    earlier: dict[int, list[tuple[int, T | None]]]


class _Form(msgspec.Struct):
    """All of an index but its columns, in the names it has there."""

    head: Head
    clock_us: int
    latest_us: int
    unsettled: int
    lengths: dict[str, int]  # of the columns, in bytes
    key_names: list[str]
    requests: dict[str, int]  # the newest; the others are columns
    requests_seed: int
    added: dict[int, tuple[int, int]]
    supersedes: dict[int, tuple[int, ...]]
    noted: dict[int, bool]
    condemned: dict[tuple[int, bytes], Condemned]
    acted_us: dict[int, int]
    timers: list[tuple[int, int]]
    due: set[int]
    withdrawals: dict[int, list[tuple[int, Withdrawal, bool]]]  # the changes of a `Standing`: what stands, they tell
    support_withdrawals: dict[int, list[tuple[int, Withdrawal, bool]]]
    superseded_by: dict[int, list[tuple[int, Supersession, bool]]]
    limits: _Rare[Limit]
    divergences: _Rare[Divergence]


_DICTS = ("added", "supersedes", "noted", "condemned", "acted_us")
_STANDING = ("withdrawals", "support_withdrawals", "superseded_by")
_FACTS = ("limits", "divergences")


class Snapshot(NamedTuple):
    """An index as it was at one moment: nothing of this changes when the index does."""

    form: _Form
    columns: list[bytes]

    def parts(self) -> list[bytes]:
        """The bytes: first the form, then each column."""
        return [msgspec.msgpack.encode(self.form), *self.columns]


def snapshot(index: Index) -> Snapshot:
    """Copy an index, quickly: its owner holds the lock, and nothing is being judged on it."""
    columns = {name: bytes(memoryview(column).cast("B")) for name, column in _columns(index).items()}
    form = _Form(
        head=index.head,
        clock_us=index.clock_us,
        latest_us=index.latest_us,
        unsettled=index.unsettled,
        lengths={name: len(column) for name, column in columns.items()},
        key_names=index.key_names.copy(),
        requests=index.requests.recent.copy(),
        requests_seed=index.requests.seed,
        timers=index.timers.copy(),
        due=index.due.copy(),
        **{name: getattr(index, name).copy() for name in _DICTS},
        **{name: _copied(getattr(index, name).changes) for name in _STANDING},
        **{name: _rare(getattr(index, name)) for name in _FACTS},
    )
    return Snapshot(form, list(columns.values()))


def restored(form: bytes, columns: memoryview) -> Index:
    """The index that a snapshot was made of, as of its last entry. Raises ValueError when this is none.

    Time that passed behind that is undone: it was another process's, whose clock may have been wrong.
    """
    said = msgspec.msgpack.decode(form, type=_Form)
    index = Index()
    index.head, index.clock_us, index.latest_us = said.head, said.clock_us, said.latest_us
    index.unsettled = said.unsettled
    known = _columns(index)
    if list(known) != list(said.lengths) or sum(said.lengths.values()) != len(columns):
        raise ValueError("it has other columns")
    for name, column in known.items():
        del column[:]
        _fill(column, columns[: said.lengths[name]])
        columns = columns[said.lengths[name] :]
    index.key_names += said.key_names
    index.keys.update(zip(said.key_names, range(len(said.key_names)), strict=True))
    index.requests.recent.update(said.requests)
    index.requests.seed = said.requests_seed
    index.timers += said.timers
    index.due |= said.due
    for name in _DICTS:
        getattr(index, name).update(getattr(said, name))
    for name in _STANDING:
        getattr(index, name).fill(getattr(said, name))
    for name in _FACTS:
        fact, rare = getattr(index, name), getattr(said, name)
        fact.update(rare.now)
        fact.earlier.update(rare.earlier)
    index.rewind(index.recorded_us[-1])
    index.latest_us = min(index.latest_us, index.clock_us)
    return index


def _columns(index: Index) -> dict[str, array[int] | bytearray]:
    return {**index.columns(), **index.requests.columns()}


def _rare(fact: Fact[Any]) -> Any:
    return _Rare(dict(fact), _copied(fact.earlier))


def _copied(growing: dict[int, list[Any]]) -> Any:
    # The lists grow in place.
    return {place: each.copy() for place, each in growing.items()}


def _fill(column: array[int] | bytearray, data: memoryview) -> None:
    if isinstance(column, bytearray):
        column += data
    else:
        column.frombytes(data)
