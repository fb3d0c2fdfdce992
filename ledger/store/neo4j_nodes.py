"""Entries as nodes and relationships: the parameters of `append.cypher`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from ledger.clock import format_moment
from ledger.model.edges import edges_of
from ledger.model.entry import WHOLE_BATCH, Event, Head, Record, Reinstatement, Revocation, Sealed, head_after
from ledger.store.base import NodeState

T = TypeVar("T")

CHUNK_ENTRIES = 2_000
CHUNK_CHARS = 8_000_000
"""What one statement writes at most, or an answer carries of large contents: the server holds all of it in its heap."""

_moment = lru_cache(maxsize=1_024)(format_moment)  # a commit has one or few


def steps(
    ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
) -> list[dict[str, Any]]:
    """The parameters of each statement it takes to add `entries`, one behind the other."""
    found = []
    # Born with its state, a node needs no second write: most never change.
    born = {one.seq: {"state": one.state, "reason": one.reason, "state_seq": entries[-1].entry.seq} for one in states}
    for chunk in portions(entries, lambda sealed: len(sealed.envelope) + len(sealed.content or "")):
        found.append(_step(ledger, expects, chunk, born))
        expects = head_after(chunk[-1])
    return found


def portions(items: Iterable[T], chars_of: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in groups that one statement can take; an item that is too large for that goes alone."""
    portion: list[T] = []
    chars = 0
    for item in items:
        size = chars_of(item)
        if portion and (len(portion) == CHUNK_ENTRIES or chars + size > CHUNK_CHARS):
            yield portion
            portion, chars = [], 0
        portion.append(item)
        chars += size
    if portion:
        yield portion


def _step(ledger: str, expects: Head, entries: list[Sealed], born: dict[int, dict[str, Any]]) -> dict[str, Any]:
    seqs = [sealed.entry.seq for sealed in entries]
    edges = [(sealed.entry.seq, *edge) for sealed in entries for edge in dict.fromkeys(edges_of(sealed.entry))]
    earlier = sorted({target for *_, target in edges if target <= expects.seq})
    place = {seq: place for place, seq in enumerate(itertools.chain(earlier, seqs))}
    last = entries[-1]
    return {
        "ledger": ledger,
        "expects": expects.seq,
        "expects_hash": expects.hash.hex(),
        "head": {
            "head": last.entry.seq,
            "hash": last.hash.hex(),
            "recorded_at": _moment(last.entry.recorded_at_us),
        },
        "earlier": earlier,
        "rows": [
            {"label": label_of(sealed), "properties": _properties(ledger, sealed) | born.get(sealed.entry.seq, {})}
            for sealed in entries
        ],
        "edges": [
            [place[source], place[target], name, justification if name == "BECAUSE" else None]
            for source, name, justification, target in edges
        ],
        "erased": [seq for sealed in entries if isinstance(sealed.entry, Revocation) for seq in sealed.entry.erases],
    }


def label_of(sealed: Sealed) -> str:
    """`Belief` of a belief."""
    return sealed.entry.kind.capitalize()


def _properties(ledger: str, sealed: Sealed) -> dict[str, Any]:
    """What people see at the node. Read back are `envelope`, `hash` and `content` alone; None is no property."""
    entry = sealed.entry
    shown: dict[str, Any] = {
        "ledger": ledger,
        "seq": entry.seq,
        "kind": entry.kind,
        "batch": entry.batch,
        "actor": entry.actor,
        "recorded_at": _moment(entry.recorded_at_us),
        "occurred_at": _shown(entry.occurred_at_us),
        "valid_until": _shown(getattr(entry, "valid_until_us", None)),
        "envelope": sealed.envelope.decode(),
        "hash": sealed.hash.hex(),
    }
    if isinstance(entry, Record):
        shown |= {"key": entry.key, "version": entry.version, "digest": entry.digest, "content": sealed.content}
    if isinstance(entry, Event):
        outcomes = {request.outcome for request in entry.requests if request.position != WHOLE_BATCH}
        shown["outcomes"] = sorted(outcomes) or None
    if isinstance(entry, Revocation | Reinstatement):
        shown["reason"] = entry.reason
    if isinstance(entry, Revocation):
        shown |= {"mode": entry.mode, "effective_at": _shown(entry.effective_at_us)}
    return shown


def _shown(moment_us: Any) -> str | None:
    """A moment as text; None if there is none, or it was not given."""
    return _moment(moment_us) if isinstance(moment_us, int) else None
