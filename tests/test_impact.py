"""Impact: what it says is what then happens, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from typing import Any

import pytest
from histories import Author
from test_ahead import Slow, _patiently, turns

from ledger import AsyncLedger, Ledger
from ledger.errors import ImpactChanged, Malformed, NotFound, Refused
from ledger.model.entry import EMPTY, Sealed
from ledger.model.impact import Impact
from ledger.model.result import Effect
from ledger.service import committer
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock


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
        revoked = ledger.revoke("root", mode="wrong_from_birth").entry
        told = ledger.remediation()
        assert [one.entry.ref for one in told[:2]] == ["m/0@1", "m/1@1"]
        assert [(one.needed, one.causes) for one in told] == [(True, (revoked,))] * 20_000


def test_a_limit_is_a_number_of_names() -> None:
    with Ledger.open("memory:") as ledger:
        ledger.apply([{"op": "record", "kind": "belief", "content": n} for n in range(1200)])
        everything = [{"op": "revoke", "target": f"@{n}"} for n in range(1, 1201)]
        assert [len(ledger.impact(everything, limit=most).fell.first) for most in (0, 7, 1000)] == [0, 7, 1000]
        for most in (-1, 1001):
            with pytest.raises(Malformed) as told:
                ledger.impact(everything, limit=most)
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


def test_limits_that_were_only_supposed_leave_no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.validity.index.TIMERS_SPARE", 10)
    with Ledger.open("memory:") as ledger:
        ledger.record("belief", 1, key="a", valid_until="2090-01-01T00:00:00Z")
        for _ in range(40):
            ledger.impact(
                [{"op": "record", "kind": "belief", "key": "b", "content": 1, "valid_until": "2099-01-01T00:00:00Z"}]
            )
        index = ledger._ledger._service.live.index
        assert len(index.timers) <= 13
        assert sum(edition in index.limits for _, edition in index.timers) >= 1
