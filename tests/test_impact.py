"""Impact: what it says is what then happens, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
import threading
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from histories import ALL_REFS, Author
from test_ahead import Slow, _patiently, turns
from test_properties import STEPS, Game, game

from ledger import AsyncLedger, Ledger
from ledger.errors import ImpactChanged, NotFound, Refused
from ledger.model.entry import Sealed
from ledger.model.impact import Impact
from ledger.model.result import BatchResult
from ledger.service import committer
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.neo4j import Neo4jStore
from ledger.store.sqlite import SqliteStore
from ledger.testing import ManualClock
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_NAMES
from ledger.validity.oracle import Oracle
from ledger.validity.trail import Fact, Timeline, Trail

CACHES = {"memo", "_checked_floor", "_due", "_timers", "_latest_us", "_journal", "_settled", "_watched", "_now"}
"""Of an index: what holds nothing of its own, or is good for what is done next alone."""


def all_of(index: Index) -> dict[str, Any]:
    """Everything an index knows, to be compared."""
    found = {name: _plain(value) for name, value in vars(index).items() if name not in CACHES}
    found["due"] = index.news_of_expiry()
    # A timer that was set and undone may stay behind; it rings for nobody.
    found["timers"] = {one for one in index._timers if (limit := index.limits.get(one[1])) and limit.moment_us == one[0]}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Fact):
        return dict(value), {place: list(was) for place, was in value.earlier.items() if was}
    if isinstance(value, Trail | Timeline):
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


async def what_happens(one: Game, command: dict[str, Any], foreseen: Impact) -> BatchResult:
    """Apply it, and hold what was foreseen against what the naive model makes of the log before and after."""
    service = one.ledger._service
    with service.live.durable as index:
        before = Meaning([sealed async for sealed in service.sealed()], index)
    result = await service.apply(command)
    with service.live.durable as index:
        after = Meaning([sealed async for sealed in service.sealed()], index)
        was, now = before.states, after.states
        fell = sorted(one for one in was if was[one][0] == "fresh" != now[one][0])
        revived = sorted(one for one in was if was[one][0] != "fresh" == now[one][0])
        for extent, editions in ((foreseen.fell, fell), (foreseen.revived, revived)):
            assert extent.count == len(editions)
            assert extent.kinds == Counter(KIND_NAMES[index.kind[index.birth[one]]] for one in editions)
            assert list(extent.first) == [_name(index, one) for one in editions]
        newly = sorted(after.to_repair - before.to_repair)
        assert foreseen.remediation.count == len(newly)
        assert list(foreseen.remediation.first) == [_name(index, one) for one in newly]
    for told, came in zip(foreseen.results, result.results, strict=True):
        same = ("outcome", "entry", "ref", "verdict", "replayed", "stands", "fell", "revived")
        assert [getattr(told, name) for name in same] == [getattr(came, name) for name in same]
    return result


def _name(index: Index, edition: int) -> str:
    from ledger.validity.resolve import name_of

    return name_of(index, index.newest[edition])


async def seen(one: Game, command: dict[str, Any]) -> Impact | Refused:
    """What would come of it; the ledger is left as it was, to the last byte."""
    live = one.ledger._service.live
    with live.durable as index:
        index.advance(one.clock())
        before, head = all_of(index), live.head
    try:
        return await one.ledger._service.impact(command, limit=1000)
    except Refused as refused:
        return refused
    finally:
        with live.durable as index:
            after = all_of(index)
            assert [name for name in before if before[name] != after[name]] == []
            assert live.head == head == await one.ledger._service.store.head(one.ledger.name) or head.seq == 0


async def random_plans(seed: int, store: Store | None = None, name: str = "main") -> Counter[str]:
    """Before every step of a random history it is foreseen; now and then others come in between."""
    author, dice, tally = Author(seed), random.Random(seed), Counter[str]()
    async with game(store, name) as one:
        for _ in range(STEPS):
            seconds, command = author.step(one.ledger)
            one.clock.wait(seconds)
            if command["op"] != "batch":
                command = {"op": "batch", "commands": [command]}
            foreseen = await seen(one, command)
            if dice.random() < 0.3:
                _, other = author.step(one.ledger)
                with contextlib.suppress(Refused):
                    await one.ledger._service.apply(other)
                later = await seen(one, command)
                if isinstance(foreseen, Impact):
                    tally[await _meanwhile(one, command, foreseen, later)] += 1
                foreseen = await seen(one, command)
            try:
                await _held(one, command, foreseen)
                tally["fell" if isinstance(foreseen, Impact) and foreseen.fell.count else "told"] += 1
                tally["repair"] += isinstance(foreseen, Impact) and foreseen.remediation.count > 0
            except Exception as error:
                raise AssertionError(f"seed {seed}: {command}: {error!r}") from error
        assert (await one.ledger.audit()).ok
    return tally


async def _held(one: Game, command: dict[str, Any], foreseen: Impact | Refused) -> None:
    if isinstance(foreseen, Refused):
        with pytest.raises(type(foreseen)) as refused:
            await one.ledger._service.apply(command)
        assert refused.value.as_dict() == foreseen.as_dict()
        return
    bound = command | {"expects_impact": foreseen.digest}
    if "idempotency_key" in command and foreseen.results and all(each.replayed for each in foreseen.results):
        bound = command  # answered before, without an expectation: with one it is another command
    await what_happens(one, bound, foreseen)


async def _meanwhile(one: Game, command: dict[str, Any], foreseen: Impact, later: Impact | Refused) -> str:
    """What another command changed is noticed; whatever it did not change does not matter."""
    service = one.ledger._service
    bound = {name: value for name, value in command.items() if name != "idempotency_key"}
    bound["expects_impact"] = foreseen.digest
    if isinstance(later, Impact) and later.digest == foreseen.digest:
        assert (later.fell, later.revived, later.remediation.count) == (
            foreseen.fell,
            foreseen.revived,
            foreseen.remediation.count,
        )
        return "same"
    with pytest.raises(Refused) as refused:
        await service.apply(bound)
    if isinstance(later, Impact):
        assert isinstance(refused.value, ImpactChanged)
        assert refused.value.details["impact"] == later.digest
    return "moved"


@pytest.mark.parametrize("block", range(8))
def test_what_is_foreseen_is_what_happens(block: int) -> None:
    """400 histories of 35 steps in memory: counts, names, kinds, acts, outcomes, refusals; index and head unmoved."""

    async def plans() -> Counter[str]:
        tally = Counter[str]()
        for seed in range(block * 50, block * 50 + 50):
            tally += await random_plans(seed)
        return tally

    tally = asyncio.run(plans())
    assert all(tally[what] > 5 for what in ("fell", "repair", "same", "moved")), tally
