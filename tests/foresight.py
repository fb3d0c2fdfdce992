"""What was foreseen, held against what the naive model makes of the log before and after it happens."""

from __future__ import annotations

import copy
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
from test_properties import Game

from ledger.errors import IdempotencyConflict, ImpactChanged, Refused
from ledger.model.entry import Sealed
from ledger.model.impact import Impact
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_NAMES
from ledger.validity.oracle import Oracle
from ledger.validity.requests import Requests
from ledger.validity.resolve import name_of
from ledger.validity.trail import Fact, Standing, Timeline, Trail

T = TypeVar("T")

CACHES = {"memo", "causes", "_checked_floor", "due", "timers", "latest_us", "_journal", "_settled", "_watched", "_now"}
"""Of an index: what holds nothing of its own, or is good for what is done next alone."""


def all_of(index: Index) -> dict[str, Any]:
    """Everything an index knows, to be compared."""
    found = {name: _plain(value) for name, value in vars(index).items() if name not in CACHES}
    found["due"] = index.news_of_expiry()
    # A timer that was set and undone may stay behind; it rings for nobody.
    found["timers"] = {one for one in index.timers if (limit := index.limits.get(one[1])) and limit.moment_us == one[0]}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Fact):
        return dict(value), {place: list(was) for place, was in value.earlier.items() if was}
    if isinstance(value, Standing):
        return copy.deepcopy((dict(value), value.changes))
    if isinstance(value, Trail | Timeline | Requests):
        return {name: _plain(one) for name, one in vars(value).items()}
    if isinstance(value, array | bytearray):
        return bytes(value)
    return copy.deepcopy(value)


class Meaning:
    """What a ledger's log means by the naive model, edition by edition."""

    def __init__(self, log: list[Sealed], index: Index) -> None:
        oracle = Oracle(sealed.entry for sealed in log)
        self.states: dict[int, tuple[str, str | None]] = {}
        for seq, (state, reason) in oracle.states(index.clock_us).items():
            newest = seq == index.newest[index.edition[seq]]
            if newest or state == "stale":  # an older version of what stands is `amended`
                self.states[index.edition[seq]] = state, reason
        self.to_repair = {index.edition[seq] for seq in oracle.remediation(index.clock_us)[0]}

    @classmethod
    async def of(cls, one: Game) -> Meaning:
        log = [sealed async for sealed in one.ledger._service.sealed()]
        with one.ledger._service.live.durable as index:
            return cls(log, index)


async def as_foreseen(one: Game, act: Callable[[], Awaitable[T]], foreseen: Impact) -> T:
    """Let it happen: this falls and revives, and these acts come to need repair, and nothing else."""
    before = await Meaning.of(one)
    result = await act()
    after = await Meaning.of(one)
    was, now = before.states, after.states
    fell = sorted(one for one in was if was[one][0] == "fresh" != now[one][0])
    revived = sorted(one for one in was if was[one][0] != "fresh" == now[one][0])
    newly = sorted(after.to_repair - before.to_repair)
    with one.ledger._service.live.durable as index:
        names = {edition: name_of(index, index.newest[edition]) for edition in (*fell, *revived, *newly)}
        for extent, editions in ((foreseen.fell, fell), (foreseen.revived, revived)):
            assert extent.count == len(editions)
            assert extent.kinds == Counter(KIND_NAMES[index.kind[index.birth[one]]] for one in editions)
            assert list(extent.first) == [names[edition] for edition in editions]
    assert foreseen.remediation.count == len(newly)
    assert list(foreseen.remediation.first) == [names[edition] for edition in newly]
    return result


async def foreseen(one: Game, batch: dict[str, Any]) -> Impact | Refused:
    """What would come of it; the ledger is left as it was, to the last byte."""
    live = one.ledger._service.live
    with live.durable as index:
        index.advance(one.clock())
        before, head = all_of(index), live.head
    try:
        return await one.ledger._service.impact(batch, limit=1000)
    except Refused as refused:
        return refused
    finally:
        with live.durable as index:
            after = all_of(index)
            # Nothing was marked for the nodes of a Neo4j; what had been may have been written meanwhile.
            assert (after.pop("dirty") or {}).items() <= (before.pop("dirty") or {}).items()
            assert [name for name in before if before[name] != after[name]] == []
            assert live.head == head == await one.ledger._service.store.head(one.ledger.name) or head.seq == 0


async def happens(one: Game, batch: dict[str, Any], told: Impact | Refused) -> None:
    """The batch does what was told of it, or is refused so."""
    if isinstance(told, Refused):
        with pytest.raises(type(told)) as refused:
            await one.ledger._service.apply(batch)
        assert refused.value.as_dict() == told.as_dict()
        return
    bound = batch | {"expects_impact": told.digest}
    if "idempotency_key" in batch and all(each.replayed for each in told.results):
        bound = batch  # answered before, without an expectation: with one it is another command
    result = await as_foreseen(one, lambda: one.ledger._service.apply(bound), told)
    for prospect, came in zip(told.results, result.results, strict=True):
        same = ("outcome", "entry", "ref", "verdict", "replayed", "stands", "fell", "revived")
        assert [getattr(prospect, name) for name in same] == [getattr(came, name) for name in same]


async def is_noticed(one: Game, batch: dict[str, Any], told: Impact, later: Impact | Refused) -> bool:
    """Whether others changed what a batch would do; then it is refused. What they did not change does not matter."""
    if isinstance(later, Impact) and later.digest == told.digest:
        assert (later.fell, later.revived, later.remediation.count) == (
            told.fell,
            told.revived,
            told.remediation.count,
        )
        return False
    unkeyed = {name: value for name, value in batch.items() if name != "idempotency_key"}
    if isinstance(later, IdempotencyConflict) and unkeyed != batch:
        # Others took its key: that says nothing of what it would do.
        return await is_noticed(one, unkeyed, told, await foreseen(one, unkeyed))
    with pytest.raises(Refused) as refused:
        await one.ledger._service.apply(unkeyed | {"expects_impact": told.digest})
    if isinstance(later, Impact):
        assert isinstance(refused.value, ImpactChanged)
        assert refused.value.details["impact"] == later.digest
    return True
