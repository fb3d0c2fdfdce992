"""What commands would do: judged as they are judged when they are recorded, and undone (see `Live.supposing`)."""

from __future__ import annotations

from collections import Counter
from functools import partial

from ledger.clock import Clock, format_moment
from ledger.model.command import Command
from ledger.model.impact import NO_EXTENT, Extent, Impact, Prospect
from ledger.model.result import Effect
from ledger.service.judge import Judge, Remembered
from ledger.service.live import Live
from ledger.service.measuring import Measure
from ledger.service.recall import idempotency_keys, recalled
from ledger.service.rendering import facts_of
from ledger.store.base import Store
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_NAMES
from ledger.validity.resolve import name_of


async def foreseen(
    store: Store, live: Live, clock: Clock, command: Command, *, limit: int, results: bool = True
) -> Impact:
    """What a batch would do to what is durable; at most `limit` names in each list. Raises Refused, StoreError."""
    keys, known = set(idempotency_keys(command)), dict[str, Remembered]()
    looked = dict[str, tuple[int, ...]]()
    while (answered := live.answered(keys)) != looked:  # others may be answered while these are read
        looked, known = answered, await recalled(store, live, keys)
    with live.supposing(clock()) as index:
        judge = Judge(index, index.clock_us, known)
        judge.note_expiries()
        measure = Measure(index)
        judgement = judge.judge(command)
        found = measure.read(judgement.entries, judgement.outcomes)
        named = partial(name_of, index)
        return Impact(
            revision=live.revision,
            clock=format_moment(index.clock_us),
            digest=found.digest,
            fell=_extent(index, found.fell, limit),
            revived=_extent(index, found.revived, limit),
            remediation=Effect(len(found.to_repair), _names(index, found.to_repair[:limit])),
            results=tuple(Prospect(**facts_of(named, one)) for one in judgement.outcomes) if results else (),
        )


def _extent(index: Index, editions: list[int], limit: int) -> Extent:
    if not editions:
        return NO_EXTENT
    kinds = Counter(KIND_NAMES[index.kind[index.birth[edition]]] for edition in editions)
    return Extent(len(editions), dict(sorted(kinds.items())), _names(index, editions[:limit]))


def _names(index: Index, editions: list[int]) -> tuple[str, ...]:
    return tuple(name_of(index, index.newest[edition]) for edition in editions)
