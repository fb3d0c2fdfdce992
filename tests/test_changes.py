"""The change feed beyond its laws: bounds, slow readers, endings, expiries that a service notes, and exact counts."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from pathlib import Path

import pytest
from histories import Author

from ledger import AsyncLedger, Ledger
from ledger.app import open_ledgers
from ledger.errors import Refused, SlowReader, Unavailable
from ledger.model.change import CHANGE_FIRST_MAX, Change
from ledger.model.entry import Expiry, Sealed
from ledger.model.result import FIRST_MAX
from ledger.service import drafts, expiry, feed, stretches
from ledger.service.ledgers import Ledgers
from ledger.service.service import LedgerService
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from ledger.testing import ManualClock
from ledger.testing.laws.watching import take, take_one, told
from ledger.testing.line import Line

START = "main@0.00000000"


def belief(number: int, *because: str) -> dict[str, object]:
    said = {"op": "record", "kind": "belief", "key": f"b/{number}", "content": number}
    return said | ({"because": [list(because)]} if because else {})


# --- bounds -----------------------------------------------------------------------------------------------------


async def test_a_slow_reader_is_sent_away_and_resumes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who takes none while too many come is told where to resume, and misses nothing; others are not touched."""
    monkeypatch.setattr(feed, "RING_CHANGES", 10)
    async with AsyncLedger.open(MemoryStore()) as ledger:
        slow, quick = ledger.changes(), ledger.changes()
        first = asyncio.create_task(take_one(slow))
        await asyncio.sleep(0)
        taken = []
        for number in range(30):
            await ledger.record("belief", number, key=f"b/{number}")
            taken.append(await take_one(quick))
        assert await first == taken[0]
        with pytest.raises(SlowReader) as caught:
            await take_one(slow)
        assert caught.value.retry
        assert caught.value.details["revision"] == taken[0].revision
        resumed = ledger.changes(caught.value.details["revision"])
        assert await take(resumed, 29) == taken[1:]
        await quick.aclose()
        await resumed.aclose()


async def test_what_is_kept_is_bounded_and_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """All watchers share what is kept; when the last one is gone nothing is."""
    monkeypatch.setattr(feed, "RING_CHANGES", 10)
    async with AsyncLedger.open(MemoryStore()) as ledger:
        ring = ledger._service.feed._ring
        watchers = [ledger.changes() for _ in range(5)]
        waiting = [asyncio.create_task(take_one(changes)) for changes in watchers]
        await asyncio.sleep(0)
        for number in range(40):
            await ledger.record("belief", number, key=f"b/{number}")
        assert len(ring) == 10
        assert {told(await one) for one in waiting} == {"@1: recorded b/0@1"}
        for changes in watchers[:4]:
            await changes.aclose()
        assert len(ring) == 10
        del changes, watchers, waiting  # one who leaves without a word
        gc.collect()
        await asyncio.sleep(0.01)
        await ledger.record("belief", 41, key="b/41")
        assert len(ring) == 0


async def test_a_reader_of_the_past_holds_two_pages_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who reads the log slowly is not hurried, however much is written meanwhile."""
    monkeypatch.setattr(feed, "RING_CHANGES", 10)
    monkeypatch.setattr(stretches, "PAGE_ENTRIES", 7)
    async with AsyncLedger.open(MemoryStore()) as ledger:
        for number in range(50):
            await ledger.record("belief", number, key=f"b/{number}")
        changes = ledger.changes(START)
        taken = await take(changes, 3)
        for number in range(50, 100):
            await ledger.record("belief", number, key=f"b/{number}")
        taken += await take(changes, 97)
        assert [told(change) for change in taken] == [f"@{n + 1}: recorded b/{n}@1" for n in range(100)]
        await changes.aclose()


async def test_lists_are_capped_and_counts_whole() -> None:
    async with AsyncLedger.open(MemoryStore()) as ledger:
        changes = ledger.changes()
        await ledger.apply([belief(0), *(belief(number, "b/0") for number in range(1, 300))])
        await ledger.apply([{"op": "revoke", "target": "b/0"}])
        born, fallen = await take(changes, 2)
        assert (born.recorded.count, len(born.recorded.first)) == (300, CHANGE_FIRST_MAX)
        assert (fallen.fell.count, len(fallen.fell.first)) == (300, FIRST_MAX)
        assert {turn.cause for turn in fallen.fell.first} == {"@301"}
        await changes.aclose()


async def test_looks_of_one_batch_are_told_together() -> None:
    """Commands that only look are one entry: what each did is told once, as its doing."""
    async with AsyncLedger.open(MemoryStore()) as ledger:
        for key in ("p", "q"):
            await ledger.record("dependency", 1, key=key)
        await ledger.apply([belief(number, "p", "q") for number in range(20)])
        changes = ledger.changes()
        other = "sha256:" + "0" * 64
        looks = [{"op": "verify", "target": key, "digest": other} for key in ("p", "p", "q")]
        answer = await ledger.apply(looks)
        assert [result.fell.count for result in answer.results] == [21, 0, 1]
        change = await take_one(changes)
        assert (change.fell.count, change.noted.count) == (22, 2)
        assert {turn.cause for turn in change.fell.first} == {"@23"}
        await changes.aclose()


# --- endings ----------------------------------------------------------------------------------------------------


async def test_closing_ends_watchers() -> None:
    """A watcher of a ledger that is closed is told so at once, and where to go on."""
    async with open_ledgers(MemoryStore()) as ledgers:
        service = await ledgers.get("main", create=True)
        changes = service.changes()
        await service.apply(belief(1))
        last = await take_one(changes)
        waiting = asyncio.create_task(take_one(changes))
        await asyncio.sleep(0)
    with pytest.raises(Unavailable) as caught:
        await waiting
    assert caught.value.details["revision"] == last.revision


async def test_a_watcher_who_comes_when_the_last_one_leaves(tmp_path: Path) -> None:
    """Somebody looks for what others write as long as anybody watches."""
    path = tmp_path / "ledger.db"
    async with AsyncLedger.open(SqliteStore(path)) as here, AsyncLedger.open(SqliteStore(path)) as there:
        for number in range(3):
            changes = here.changes()
            waiting = asyncio.create_task(take_one(changes))
            await asyncio.sleep(0.01)
            await there.record("belief", number, key=f"b/{number}")
            assert told(await waiting) == f"@{number + 1}: recorded b/{number}@1"
            await changes.aclose()
        assert here._service.feed._looking is None


def test_without_an_event_loop(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        changes = ledger.changes()
        for number in range(3):
            ledger.record("belief", number, key=f"b/{number}")
        assert [told(next(changes)) for _ in range(3)] == [f"@{n + 1}: recorded b/{n}@1" for n in range(3)]
        changes.close()
        past = ledger.changes(START)
        assert [told(next(past)) for _ in range(3)][2:] == ["@3: recorded b/2@1"]
        assert not ledger._ledger._service.feed._watchers


async def test_a_store_that_fails_while_the_past_is_read() -> None:
    line = Line(MemoryStore())
    async with AsyncLedger.open(line) as ledger:
        await ledger.record("belief", 1, key="b/1")
        line.cut = True
        with pytest.raises(Unavailable):
            await take_one(ledger.changes(START))
        line.cut = False
        assert told(await take_one(ledger.changes(START))) == "@1: recorded b/1@1"


# --- batches are seen whole (law 10) ----------------------------------------------------------------------------


async def test_no_check_sees_half_a_batch_of_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the pages in which another process reads it: a batch is there whole, or not at all."""
    monkeypatch.setattr(stretches, "PAGE_ENTRIES", 3)
    place = MemoryStore()
    async with AsyncLedger.open(place) as writer, AsyncLedger.open(SlowPages(place)) as reader:
        await reader.check(["b/0"])
        changes, seen = reader.changes(), set()
        await writer.apply([belief(number) for number in range(20)])
        await writer.record("belief", 20, key="b/20")
        reading = asyncio.create_task(take(changes, 2))
        while not reading.done():
            with reader._service.live.durable:
                seen.add(reader._service.live.head.seq)
            await asyncio.sleep(0)
        assert seen <= {0, 20, 21}
        assert [change.recorded.count for change in await reading] == [20, 1]
        await changes.aclose()


class SlowPages(Line):
    """Others get a turn before each page."""

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        await asyncio.sleep(0.001)
        return await super().read(ledger, after, limit, content=content)


# --- random histories -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
async def test_changes_account_for_all_that_falls_and_revives(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stood before and what stands after differ by what the changes tell, entry by entry; told later, the same."""
    monkeypatch.setattr(drafts, "FIRST_MAX", 1_000)
    clock, author, place = ManualClock(), Author(seed), MemoryStore()
    async with AsyncLedger.open(place, clock=clock) as ledger:
        index, changes, live_ones, stood = ledger._service.live.index, ledger.changes(), list[Change](), list[int]()
        for _ in range(40):
            seconds, command = author.step(ledger)
            clock.wait(seconds)
            with contextlib.suppress(Refused):
                await ledger._service.apply(command)
            came = []
            while ledger.revision != (live_ones[-1].revision if live_ones else START):
                came.append(await take_one(changes))
                live_ones.append(came[-1])
            moves: Counter[int] = Counter()
            for change in came:
                moves.update(index.edition[int(turn.id[1:])] for turn in change.revived.first)
                moves.subtract(index.edition[int(turn.id[1:])] for turn in change.fell.first)
                assert (change.fell.count, change.revived.count) == (len(change.fell.first), len(change.revived.first))
            assert [before + moves[edition] for edition, before in enumerate(stood)] == list(index.valid)[: len(stood)]
            stood = list(index.valid)
        await changes.aclose()
        for after in {START, *(change.revision for change in live_ones[:: len(live_ones) // 3 or 1])}:
            async with AsyncLedger.open(place, clock=clock) as later:
                told_after = [change for change in live_ones if _seq(change.revision) > _seq(after)]
                assert await take(later.changes(after), len(told_after)) == told_after


def _seq(revision: str) -> int:
    return int(revision.rpartition("@")[2].partition(".")[0])


# --- expiry -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")


def expiring(clock: ManualClock) -> list[dict[str, object]]:
    until = "2026-01-01T00:00:30Z"
    assert clock.now_us == 1_767_225_600_000_000
    return [
        {"op": "record", "kind": "approval", "key": "may", "content": 1, "valid_until": until},
        belief(1, "may"),
    ]


async def test_a_service_notes_what_expired(place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watchers hear of an expiry soon after the moment, with what fell, though nobody reads or writes."""
    monkeypatch.setattr(expiry, "LOOK_EVERY_S", 0.02)
    clock = ManualClock()
    async with open_ledgers(place, clock=clock) as ledgers:
        service = await ledgers.get("main", create=True)
        for command in expiring(clock):
            await service.apply(command)
        changes = service.changes()
        waiting = asyncio.create_task(take_one(changes))
        clock.wait(29)
        await asyncio.sleep(0.1)
        assert service.live.head.seq == 2
        clock.wait(2)
        assert told(await waiting) == "@3: expired may@1, fell may@1 b/1@1 by @3"
        await asyncio.sleep(0.1)
        assert service.live.head.seq == 3
        await changes.aclose()


async def test_of_several_processes_one_notes(place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "LOOK_EVERY_S", 0.01)
    clock = ManualClock()
    others = [SqliteStore(place.path) if isinstance(place, SqliteStore) else place for _ in range(3)]
    processes = [open_ledgers(other, clock=clock) for other in others]
    for process in processes:
        await process.open()
    first, *_ = services = [await process.get("main", create=True) for process in processes]
    for command in expiring(clock):
        await first.apply(command)
    clock.wait(60)
    async with asyncio.timeout(10):
        while {service.live.head.seq for service in services} != {3}:
            await asyncio.gather(*(service.check(["may"]) for service in services))
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert {service.live.head.seq for service in services} == {3}
    for process in processes:
        await process.close()


async def test_the_library_leaves_it_to_the_next_write() -> None:
    clock = ManualClock()
    service = LedgerService(MemoryStore(), clock=clock)
    await service.open()
    for command in expiring(clock):
        await service.apply(command)
    clock.wait(60)
    await asyncio.sleep(0.6)
    assert service.live.head.seq == 2
    await service.close()


async def test_an_expiry_that_cannot_be_written_is_written_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(expiry, "AFTER_TROUBLE_S", 0.05)
    clock, line = ManualClock(), Line(MemoryStore())
    async with open_ledgers(line, clock=clock) as ledgers:
        service = await ledgers.get("main", create=True)
        for command in expiring(clock):
            await service.apply(command)
        changes = service.changes()
        waiting = asyncio.create_task(take_one(changes))
        line.cut = True
        clock.wait(60)
        await asyncio.sleep(0.1)
        assert not waiting.done()
        line.cut = False
        assert told(await waiting) == "@3: expired may@1, fell may@1 b/1@1 by @3"
        await changes.aclose()


async def test_an_expiry_whose_commit_was_lost_is_news_again() -> None:
    """It was noted ahead of the log, and others judged on top of it: undone, it waits to be noted again."""
    clock = ManualClock()
    async with AsyncLedger.open(MemoryStore(), clock=clock) as ledger:
        for command in expiring(clock):
            await ledger.apply([command])
        clock.wait(60)
        live = ledger._service.live
        with live.judging(clock()) as index:
            (edition,) = index.retract_expiries()
            index.apply(Expiry(seq=3, batch=3, recorded_at_us=clock(), targets=(index.newest[edition],)))
            assert index.news_of_expiry() == []
        live.void()
        with live.durable as index:
            index.advance(clock())
            assert index.news_of_expiry() == [edition]
        changes = ledger.changes()
        await ledger.record("belief", 2, key="b/2")
        assert told(await take_one(changes)) == "@3: expired may@1, fell may@1 b/1@1 by @3"
        await changes.aclose()


async def test_audit_after_expiries() -> None:
    """What was judged with expiries taken back leaves no trace: an audit finds nothing, before and after."""
    clock = ManualClock()
    async with AsyncLedger.open(MemoryStore(), clock=clock) as ledger:
        for number in range(40):
            because = [[f"b/{number - 1}", f"b/{number // 2}"]] if number % 3 else []
            until = f"2026-01-01T00:{number // 2:02}:30Z" if number % 2 else None
            await ledger.record("belief", number, key=f"b/{number}", because=because, valid_until=until)
        changes, fell = ledger.changes(), 0
        for _ in range(12):
            clock.wait(100)
            standing = len((await ledger.check([f"b/{number}" for number in range(40)])).fresh)
            with pytest.raises(Exception, match="nothing is recorded"):
                await ledger.revoke("nowhere")
            await ledger.record("belief", clock.now_us, key="tick")
            while (change := await take_one(changes)).recorded.count == 0:
                fell += change.fell.count
            assert 40 - fell == standing
            assert (await ledger.audit()).ok
        await changes.aclose()


def test_ledgers_is_what_a_service_opens() -> None:
    assert isinstance(open_ledgers("memory:"), Ledgers)


async def test_two_services_on_one_neo4j(neo4j_uri: str, ledger_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one writes the other's watchers hear, expiries once; and a check there that names the token is not older."""
    monkeypatch.setattr(expiry, "LOOK_EVERY_S", 0.05)
    clock = ManualClock()
    async with open_ledgers(neo4j_uri, clock=clock) as one, open_ledgers(neo4j_uri, clock=clock) as two:
        here, there = await one.get(ledger_name, create=True), await two.get(ledger_name, create=True)
        assert here is not there
        changes = there.changes()
        for command in expiring(clock):
            answer = await here.apply(command)
        assert (await there.check(["b/1"], at_least=answer.revision)).fresh == ["b/1"]
        clock.wait(60)
        assert list(map(told, await take(changes, 3))) == [
            "@1: recorded may@1",
            "@2: recorded b/1@1",
            "@3: expired may@1, fell may@1 b/1@1 by @3",
        ]
        revoked = await here.apply({"op": "revoke", "target": "may"})
        assert told(await take_one(changes)) == "@4: withdrawn may@1"
        assert (await there.check(["b/1"], full=True)).revision == revoked.revision
        assert there.lag_s < 5
        await changes.aclose()
