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
from histories import Author
from test_ahead import Slow, _patiently, turns
from test_properties import STEPS, Game, game

from ledger import AsyncLedger, Ledger
from ledger.errors import ImpactChanged, Malformed, NotFound, Refused
from ledger.model.entry import EMPTY, Sealed
from ledger.model.impact import Impact
from ledger.model.result import BatchResult, Effect
from ledger.service import committer
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.neo4j import Neo4jStore
from ledger.store.sqlite import SqliteStore
from ledger.testing import ManualClock
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_NAMES
from ledger.validity.oracle import Oracle
from ledger.validity.resolve import name_of
from ledger.validity.trail import Fact, Timeline, Trail

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
    for told, came in zip(foreseen.results, result.results, strict=bool(foreseen.results)):  # a plan's has none
        same = ("outcome", "entry", "ref", "verdict", "replayed", "stands", "fell", "revived")
        assert [getattr(told, name) for name in same] == [getattr(came, name) for name in same]
    return result


def _name(index: Index, edition: int) -> str:
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
            # Nothing was marked for the nodes of a Neo4j; what had been may have been written meanwhile.
            assert (after.pop("dirty") or {}).items() <= (before.pop("dirty") or {}).items()
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


@pytest.mark.parametrize("block", range(4))
def test_what_is_foreseen_is_what_happens(block: int) -> None:
    """200 histories of 35 steps in memory: counts, names, kinds, acts, outcomes, refusals; index and head unmoved."""

    async def plans() -> Counter[str]:
        tally = Counter[str]()
        for seed in range(block * 50, block * 50 + 50):
            tally += await random_plans(seed)
        return tally

    tally = asyncio.run(plans())
    assert all(tally[what] > 5 for what in ("fell", "repair", "same", "moved")), tally


def test_so_it_is_on_sqlite(tmp_path: Path) -> None:
    async def plans() -> None:
        for seed in range(20):
            await random_plans(seed, SqliteStore(tmp_path / "ledger.db"), f"plan-{seed}")

    asyncio.run(plans())


def test_so_it_is_on_neo4j(neo4j_uri: str, ledger_name: str) -> None:
    """There states are written to the nodes, and not those of what was only supposed."""

    async def plans() -> None:
        for seed in range(5):
            await random_plans(seed, Neo4jStore(neo4j_uri), f"{ledger_name}-{seed}")

    asyncio.run(plans())


@pytest.mark.parametrize("seed", range(20))
async def test_it_starts_from_what_is_durable_and_lets_what_is_judged_ahead_be(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Writers in bulk, faults, and plans all the while: each is what a ledger says that holds no more than it names."""
    monkeypatch.setattr(committer, "SLICE_COMMANDS", 2)
    monkeypatch.setattr(committer, "UNAVAILABLE_AFTER_S", 0.3)
    monkeypatch.setattr(committer, "FIRST_PAUSE_S", 0.001)
    store, clock = Slow(seed, share=0.1 if seed % 2 else 0.0), ManualClock()
    store.healthy = True
    plans: list[tuple[int, dict[str, Any], Impact]] = []
    async with AsyncLedger.open(store, clock=clock) as ledger:
        store.healthy = False
        chance, author = random.Random(seed), Author(seed)
        ahead = 0

        async def write() -> None:
            for _ in range(8):
                await turns(chance.randint(0, 3))
                _, command = author.step(ledger)
                clock.wait(chance.choice([0, 0, 0, 1, 3]))
                with contextlib.suppress(Refused):
                    await _patiently(lambda command=command: ledger._service.apply(command))

        async def plan() -> None:
            nonlocal ahead
            while any(not writer.done() for writer in writers):
                await turns(chance.randint(1, 40))
                _, command = author.step(ledger)
                command.pop("idempotency_key", None)
                ahead += bool(ledger._service.live._ahead)
                with contextlib.suppress(Refused):
                    told = await _patiently(lambda command=command: ledger._service.impact(command))
                    plans.append((ledger._service.live.index.clock_us, command, told))

        writers = [asyncio.create_task(write()) for _ in range(8)]
        await asyncio.gather(plan(), *writers)
        store.healthy = True
        log = [sealed async for sealed in ledger._service.sealed(content=True)]
        audit = await ledger.audit()
        assert audit.ok, audit.problems
    assert ahead > 3, "nothing was judged ahead"
    for clock_us, command, told in plans:
        upto = int(told.revision.rpartition("@")[2].partition(".")[0])
        assert await _of_a_prefix(log[:upto], clock_us, command) == told


async def _of_a_prefix(log: list[Sealed], clock_us: int, command: dict[str, Any]) -> Impact:
    """What a ledger says that ends there."""
    store = MemoryStore()
    if log:
        await store.append("main", EMPTY, log)
    async with AsyncLedger.open(store, clock=lambda: clock_us) as ledger:
        return await ledger._service.impact(command)


def test_a_check_beside_it_is_never_wrong() -> None:
    """A plan that fells 3,000, asked again and again; in other threads nothing of it is ever seen."""
    with Ledger.open("memory:") as ledger:
        ledger.record("dependency", 1, key="root")
        ledger.apply(
            {"op": "record", "kind": "belief", "key": f"b/{n}", "content": n, "because": [["root"]]}
            for n in range(3000)
        )
        refs = ["root", *(f"b/{n}" for n in range(0, 3000, 50))]
        revision, wrong, checks = ledger.revision, [], 0
        done = threading.Event()

        def check() -> None:
            nonlocal checks
            while not done.is_set():
                report = ledger.check(refs)
                checks += 1
                if report.fresh != refs or report.revision != revision:
                    wrong.append(report)

        threads = [threading.Thread(target=check) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(15):
                assert ledger.impact([{"op": "revoke", "target": "root"}]).fell.count == 3001
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert not wrong
        assert checks > 15


def test_long_chains_of_acts_are_looked_at_once() -> None:
    """20,000 acts, each because of the one before: asked one by one, their grounds would be 200,000,000."""
    with Ledger.open("memory:") as ledger:
        ledger.record("dependency", 1, key="root")
        before, commands = "root", []
        for number in range(20_000):
            commands.append(
                {"op": "record", "kind": "mutation", "key": f"m/{number}", "content": 1, "because": [[before]]}
            )
            before = f"m/{number}"
        ledger.apply(commands)
        impact = ledger.impact([{"op": "revoke", "target": "root", "mode": "wrong_from_birth"}], limit=3)
        assert impact.fell.kinds == {"dependency": 1, "mutation": 20_000}
        assert impact.remediation == Effect(20_000, ("m/0@1", "m/1@1", "m/2@1"))


def test_a_limit_is_a_number_of_names() -> None:
    with Ledger.open("memory:") as ledger:
        ledger.apply([{"op": "record", "kind": "belief", "content": n} for n in range(1200)])
        everything = [{"op": "revoke", "target": f"@{n}"} for n in range(1, 1201)]
        assert [len(ledger.impact(everything, limit=most).fell.first) for most in (0, 7, 5000)] == [0, 7, 1000]
        with pytest.raises(Malformed) as told:
            ledger.impact(everything, limit=-1)
        assert told.value.details["field"] == "limit"


def test_it_is_refused_as_the_commands_would_be() -> None:
    with Ledger.open("memory:") as ledger:
        ledger.record("dependency", 1, key="a")
        commands = [{"op": "revoke", "target": "a"}, {"op": "revoke", "target": "nobody"}]
        with pytest.raises(NotFound) as foreseen:
            ledger.impact(commands)
        with pytest.raises(NotFound) as told:
            ledger.apply(commands)
        assert foreseen.value.as_dict() == told.value.as_dict()
        assert told.value.details["command"] == 1


def test_a_batch_bound_to_an_impact_is_answered_again() -> None:
    """Though what it would do by now is nothing."""
    with Ledger.open("memory:") as ledger:
        ledger.record("dependency", 1, key="a")
        plan = [{"op": "revoke", "target": "a"}]
        digest = ledger.impact(plan).digest
        first = ledger.apply(plan, expects_impact=digest, idempotency_key="once")
        again = ledger.apply(plan, expects_impact=digest, idempotency_key="once")
        assert (first.replayed, again.replayed) == (False, True)
        with pytest.raises(ImpactChanged):
            ledger.apply(plan, expects_impact=digest)
        assert ledger.status().head == 2
