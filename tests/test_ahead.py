"""Judging ahead of a commit: readers see what is durable and nothing else, and what did not land is judged anew."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import random
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from faulty import FaultyStore, intrude
from histories import ALL_REFS, Author

from ledger import AsyncLedger
from ledger.errors import LedgerError, Locked, NotFound, Refused, Unavailable
from ledger.model.command import parse_command
from ledger.model.entry import Head, Sealed
from ledger.model.verdict import Report
from ledger.service import committer, interchange
from ledger.store.base import NodeState, StateStore
from ledger.store.memory import MemoryStore
from ledger.testing.clock import ManualClock
from ledger.testing.line import Line
from ledger.validity.oracle import Oracle


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handful of commands is a bulk here."""
    monkeypatch.setattr(committer, "SLICE_COMMANDS", 2)
    monkeypatch.setattr(committer, "UNAVAILABLE_AFTER_S", 0.3)
    monkeypatch.setattr(committer, "FIRST_PAUSE_S", 0.001)


class GatedStore(MemoryStore):
    """Commits when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Semaphore(0)
        self.let = asyncio.Semaphore(0)

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        self.asked.release()
        await self.let.acquire()
        await super().append(ledger, expects, entries, states)


def document(number: int, **more: Any) -> dict[str, Any]:
    return {"op": "record", "kind": "dependency", "key": f"d/{number}", "content": number, **more}


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


class ShowingStore(GatedStore, StateStore):
    """One that shows states, which another process writes behind the head."""

    async def take_lease(self, ledger: str, holder: str, seconds: float) -> int | None:
        return None

    async def write_states(self, ledger: str, holder: str, states: Sequence[NodeState], upto: int) -> None:
        raise Locked("another process writes them")

    async def states_upto(self, ledger: str) -> int:
        return 0

    async def read_states(self, ledger: str) -> tuple[int, dict[int, tuple[str | None, str | None]]]:
        return 0, {}


@pytest.mark.parametrize("store", [GatedStore, ShowingStore])
async def test_what_is_void_is_neither_made_ready_nor_believed(
    store: type[GatedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    d/0 … d/3 commit; d/4 and d/5 are judged on top; another process was first, and a reader hears of it
    d/0 again under its idempotency key, and d/6                    -> all of it is judged anew, d/0 once
    """
    monkeypatch.setattr(committer._Group, "__init__", _groups_of(4))
    gated = store()
    async with AsyncLedger.open(gated) as ledger:

        def write(number: int) -> asyncio.Task[Any]:
            record = ledger.record("dependency", number, key=f"d/{number}", idempotency_key=f"i{number}")
            return asyncio.create_task(record)

        tasks = [write(number) for number in range(4)]
        await gated.asked.acquire()
        tasks += [write(4), write(5)]
        await turns()
        assert ledger._service.live.ahead.seq == 6, "nothing was judged ahead"
        await intrude(gated, "main")
        await ledger._service.live.catch_up()
        tasks += [write(0), write(6)]
        await turns()
        for _ in range(9):
            gated.let.release()
        done = await asyncio.wait_for(asyncio.gather(*tasks), 5)
        assert [one.replayed for one in done] == [False] * 6 + [True, False]
        keys = [sealed.entry.key for sealed in await gated.read("main", 0)]  # type: ignore[attr-defined]
        assert sorted(map(str, keys)) == ["None", *(f"d/{number}" for number in range(7))]


async def test_nodes_are_born_with_the_states_of_their_own_commit() -> None:
    """
    record  r/0 … r/3                          one commit
    record  r/0 … r/3 anew, which supersede    the next: judged on top of the first, and it may never land
    """
    born: dict[int, str] = {}

    class Showing(ShowingStore):
        async def append(
            self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
        ) -> None:
            born.update((one.seq, one.state) for one in states)
            await super().append(ledger, expects, entries, states)

    store = Showing()
    for _ in range(9):
        store.let.release()
    async with AsyncLedger.open(store) as ledger:
        ledger._service.committer.pace.room = 4
        lines = [document(number % 4, content=number) for number in range(8)]
        await ledger._service.submit([parse_command(line) for line in lines])
        assert born == dict.fromkeys(range(1, 9), "fresh")


async def test_who_is_told_that_the_store_failed_sees_nothing_of_his_land_later() -> None:
    """
    record  d/0, in answer to K                     @1
    record  d/1 … d/4; d/0, in answer to K again    slices are judged, two at a time; then the log cannot be read
                                                    -> Unavailable, when d/1 … d/4 have landed; nothing comes later
    """

    class Unreadable(MemoryStore):
        failing = False

        async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
            if self.failing:  # `read` comes here too
                raise Unavailable("no answer")
            return await super().pick(ledger, seqs, content=content)

    store = Unreadable()
    async with AsyncLedger.open(store) as ledger:
        service = ledger._service
        again = document(0, idempotency_key="K")
        await service.apply(again)
        store.failing = True
        submission = await service.submit([parse_command(one) for one in [*map(document, range(1, 5)), again]])
        assert isinstance(submission.refusal, Unavailable)
        assert [one.upto for one in submission.answers] == [2, 3, 4, 5]
        head = await store.head("main")
        assert head is not None
        assert head.seq == 5
        with pytest.raises(Unavailable):  # nothing of it is on its way: it is told at once
            await service.apply(again)
        store.failing = False
        assert (await service.apply(document(9))).results[0].entry == "@6"


async def test_what_nobody_foresaw_is_told_when_the_commit_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of our own while a commit is under way: who waits hears of it, and what the commit wrote stays."""
    gated = GatedStore()
    async with AsyncLedger.open(gated) as ledger:
        ledger._service.committer.pace.room = 4
        tasks = [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4)]
        await gated.asked.acquire()

        def fail(*_: Any) -> None:
            raise ZeroDivisionError

        with monkeypatch.context() as patch:
            patch.setattr(committer.Committer, "_prepare", fail)
            tasks += [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4, 8)]
            await turns(60)
            assert not any(task.done() for task in tasks)
            for _ in range(9):
                gated.let.release()
            done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert {type(one) for one in done} == {ZeroDivisionError}
        assert (await asyncio.wait_for(ledger.record("dependency", 9, key="d/9"), 5)).entry == "@5"


async def test_readers_see_nothing_of_what_is_judged_and_not_durable(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    d/0 … d/3 commit; d/4 … d/7 are judged on top    -> all not_found
    the first four land                              -> they are fresh, the others not_found
    """
    monkeypatch.setattr(committer._Group, "__init__", _groups_of(4))
    store = GatedStore()
    refs = [f"d/{number}" for number in range(8)]
    async with AsyncLedger.open(store) as ledger:
        first = [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4)]
        await store.asked.acquire()
        later = [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4, 8)]
        await turns()
        assert ledger._service.live.ahead.seq == 8, "nothing was judged ahead"
        for _ in range(2):  # to look undoes what was applied; to look again finds the same
            assert (await ledger.check(refs)).fresh == []
            assert ledger.revision.startswith("main@0.")
        store.let.release()
        await asyncio.gather(*first)
        assert (await ledger.check(refs)).fresh == refs[:4]
        store.let.release()
        await asyncio.gather(*later)
        assert (await ledger.check(refs)).fresh == refs
        assert (await ledger.audit()).ok


async def test_who_looks_once_is_paid_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    d/0 … d/3 commit, d/4 … d/7 are judged on top, somebody looks    -> what is ahead is undone
    d/8 is judged on top                                             -> it is applied again
    the first four land                                              -> where they stand: nothing is undone again
    """
    monkeypatch.setattr(committer._Group, "__init__", _groups_of(4))
    store = GatedStore()
    async with AsyncLedger.open(store) as ledger:
        live = ledger._service.live
        first = [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4)]
        await store.asked.acquire()
        later = [asyncio.create_task(ledger.record("dependency", n, key=f"d/{n}")) for n in range(4, 7)]
        await turns()
        assert (await ledger.check(["d/0"])).fresh == []
        later.append(asyncio.create_task(ledger.record("dependency", 7, key="d/7")))
        await turns()
        store.let.release()
        await asyncio.gather(*first)
        landed, shown = live.head.seq, live.index.upto
        fresh = (await ledger.check(["d/3", "d/7"])).fresh
        store.let.release()
        await asyncio.gather(*later)
        assert landed == 4
        assert shown == 8, "what is ahead was undone"
        assert fresh == ["d/3"]
        assert (await ledger.check(["d/7"])).fresh == ["d/7"]


class Gate(Line):
    """Another store, that takes nothing before it is told to."""

    def __init__(self, beneath: MemoryStore) -> None:
        super().__init__(beneath)
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        self.reached.set()
        await self.go.wait()
        await super().append(ledger, expects, entries, states)


async def test_an_import_is_whole_though_a_line_was_judged_refused_that_then_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """
    while a window commits, one of its lines has been judged refused: nothing is there that it rests on
    another process is first, and records just that    -> judged anew, the line passes, and so does all behind it
    """
    monkeypatch.setattr(interchange, "WINDOW_LINES", 10)
    monkeypatch.setattr(interchange, "READ_LINES", 10)
    beneath = MemoryStore()
    gate = Gate(beneath)
    lines = (orjson.dumps(document(number, because=[["x"]] if number == 4 else [])) for number in range(25))
    async with AsyncLedger.open(gate) as one, AsyncLedger.open(beneath) as two:
        importing = asyncio.create_task(one.import_lines(lines))
        await gate.reached.wait()
        await asyncio.sleep(0.05)  # all that can be judged ahead is
        await two.record("dependency", 1, key="x")
        gate.go.set()
        report = await importing
        assert report.outcomes == {"recorded": 25}
        assert len((await one.check([f"d/{number}" for number in range(25)])).fresh) == 25


class Jammed(MemoryStore):
    """Another process is first once, and then to let others write again fails."""

    def __init__(self) -> None:
        super().__init__()
        self.beaten = False
        self.releasing = asyncio.Event()

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        if not self.beaten:
            self.beaten = True
            await intrude(self, ledger)
        await super().append(ledger, expects, entries, states)

    async def release(self) -> None:
        self.releasing.set()
        await turns()
        raise Unavailable("disk I/O error")


async def test_nobody_waits_for_ever_when_the_store_cannot_let_go() -> None:
    """Who comes just then is answered all the same."""
    store = Jammed()
    async with asyncio.timeout(10), AsyncLedger.open(store) as ledger:
        await ledger.record("dependency", 1, key="d/1")
        await store.releasing.wait()
        await ledger.record("dependency", 2, key="d/2")
        assert (await ledger.check(["d/1", "d/2"])).withheld == []


def _groups_of(size: int) -> Any:
    make = committer._Group.__init__

    def smaller(group: Any, head: Head, **given: Any) -> None:
        make(group, head, **{**given, "room": size})

    return smaller


async def test_a_command_repeated_while_its_first_try_commits_is_answered_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer, "SLICE_COMMANDS", 1)
    store = GatedStore()
    async with AsyncLedger.open(store) as ledger:
        tries = [asyncio.create_task(ledger.record("belief", 1, idempotency_key="once"))]
        await store.asked.acquire()
        tries.append(asyncio.create_task(ledger.record("belief", 1, idempotency_key="once")))
        await turns()
        assert not tries[1].done(), "answered before what it repeats was durable"
        store.let.release()
        first, again = await asyncio.gather(*tries)
        assert (first.entry, again.entry, again.replayed) == ("@1", "@1", True)


async def test_nothing_behind_a_refused_line_of_an_import_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the lines behind it were on their way already."""
    monkeypatch.setattr("ledger.service.interchange.WINDOW_LINES", 10)
    monkeypatch.setattr("ledger.service.interchange.READ_LINES", 5)
    lines = [document(number) for number in range(40)]
    lines[14] = {"op": "revoke", "target": "nobody"}

    class Leisurely(MemoryStore):
        async def append(self, *given: Any) -> None:
            await asyncio.sleep(0.05)
            await super().append(*given)

    store = Leisurely()
    async with AsyncLedger.open(store) as ledger:
        with pytest.raises(NotFound) as refused:
            await ledger.import_lines([orjson.dumps(line) for line in lines])
        assert refused.value.details["line"] == 15
    async with AsyncLedger.open(store) as ledger:  # what was still under way has been answered
        assert [entry.key for entry in await ledger.entries()] == [f"d/{number}" for number in range(14)]


async def test_a_store_that_fails_an_import_leaves_nothing_behind_the_line_it_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ledger.service.interchange.WINDOW_LINES", 10)
    monkeypatch.setattr("ledger.service.interchange.READ_LINES", 5)

    class Dying(MemoryStore):
        commits = 0

        async def append(self, *given: Any) -> None:
            self.commits += 1
            if self.commits > 1:
                raise Unavailable("gone")
            await super().append(*given)

    async with AsyncLedger.open(Dying()) as ledger:
        with pytest.raises(Unavailable) as gone:
            await ledger.import_lines([orjson.dumps(document(number)) for number in range(40)])
        entries = await ledger.entries()
        assert 0 < len(entries) < 40
        assert gone.value.details["line"] == len(entries) + 1


async def test_an_import_reads_no_further_ahead_than_its_windows_hold() -> None:
    """However few lines that are: 100 of 1 MB each."""
    landed: list[int] = []
    read: list[int] = []

    def lines() -> Iterator[bytes]:
        for number in range(100):
            read.append(number - sum(landed))
            yield orjson.dumps(document(number, content="x" * 1_000_000))

    async with AsyncLedger.open("memory:") as ledger:
        await ledger.import_lines(lines(), progress=landed.append)
    assert sum(landed) == 100
    assert max(read) <= 5 * (interchange.WINDOWS_UNDER_WAY + 1)  # two of them, and what is read meanwhile


async def test_what_did_not_land_is_gone() -> None:
    """The next write is judged as if it had never been."""

    class Away(MemoryStore):
        away = True

        async def append(self, *given: Any) -> None:
            if self.away:
                raise Unavailable("away")
            await super().append(*given)

    store = Away()
    async with AsyncLedger.open(store) as ledger:
        with pytest.raises(Unavailable):
            await ledger.record("dependency", 1, key="d")
        store.away = False
        result = await ledger.record("dependency", 2, key="d", expects=0)
        assert (result.entry, result.ref) == ("@1", "d@1")


class Slow(FaultyStore):
    """Faults, and commits that take a while, so that others come in between."""

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        await turns(self.random.randint(0, 30))
        await super().append(ledger, expects, entries, states)
        await turns(self.random.randint(0, 10))


@pytest.mark.parametrize("seed", range(40))
async def test_every_answer_is_that_of_a_durable_prefix(seed: int) -> None:
    """Writers in bulk, readers all the while, faults and intruders: each report equals the oracle at its revision."""
    store, clock = Slow(seed, share=0.15 if seed % 2 else 0.0), ManualClock()
    store.healthy = True
    reports: list[Report] = []
    async with AsyncLedger.open(store, clock=clock) as ledger:
        store.healthy = False
        chance, author = random.Random(seed), Author(seed)

        async def write() -> None:
            for _ in range(12):
                await turns(chance.randint(0, 3))
                _, command = author.step(ledger)
                clock.wait(chance.choice([0, 0, 0, 1, 3]))
                with contextlib.suppress(Refused):
                    await _patiently(lambda command=command: ledger._service.apply(command))

        async def read() -> None:
            while any(not writer.done() for writer in writers):
                await turns(chance.randint(1, 40))
                report = await _patiently(lambda: ledger.check(ALL_REFS))
                if report.verdicts[0].reason != "behind":  # it could not hear from the store, and said so
                    reports.append(report)

        writers = [asyncio.create_task(write()) for _ in range(8)]
        await asyncio.gather(read(), *writers)
        store.healthy = True
        log = [sealed async for sealed in ledger._service.sealed()]
        for report in reports:
            seq, _, mark = report.revision.rpartition("@")[2].partition(".")
            assert int(seq) == 0 or log[int(seq) - 1].hash.hex().startswith(mark), "a revision that never was"
            oracle = Oracle([sealed.entry for sealed in log[: int(seq)]])
            for verdict in report.verdicts:
                assert verdict == oracle.verdict(verdict.ref, report.clock_us, None)
        audit = await ledger.audit()
        assert audit.ok, audit.problems
    assert len({report.revision for report in reports}) > 5


async def _patiently(ask: Any) -> Any:
    while True:
        try:
            return await ask()
        except Refused:
            raise
        except LedgerError as error:
            assert error.retry, error
            await asyncio.sleep(0)


class Beside(MemoryStore):
    """Another process writes all the while: it is first whenever so many commands are judged before a commit."""

    def __init__(self, first_at: int) -> None:
        super().__init__()
        self.first_at = first_at
        self.groups: list[int] = []

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        self.groups.append(len(entries))
        assert len(self.groups) < 200, "it comes to no end"
        await asyncio.sleep(0)
        if len(entries) >= self.first_at:
            await intrude(self, ledger)
        await super().append(ledger, expects, entries, states)


async def test_an_import_beside_another_writer_goes_on_in_smaller_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """And in large ones again when that is over."""
    monkeypatch.setattr(committer, "SLICE_COMMANDS", 250)
    store = Beside(first_at=100)
    async with AsyncLedger.open(store) as ledger:
        await ledger.import_lines([orjson.dumps(document(number)) for number in range(3_000)])
        assert max(store.groups) == 1_000
        assert len(store.groups) < 100
        store.groups.clear()
        store.first_at = 10_000
        await ledger.import_lines([orjson.dumps(document(number)) for number in range(3_000, 10_000)])
        assert max(store.groups) == 1_000
        entries = await ledger.entries(limit=20_000)
        assert [entry.key for entry in entries if entry.key] == [f"d/{number}" for number in range(10_000)]
        assert (await ledger.audit()).ok


async def test_a_batch_larger_than_what_a_group_takes_now_is_not_split() -> None:
    store = Beside(first_at=20)
    async with AsyncLedger.open(store) as ledger:
        await ledger.import_lines([orjson.dumps(document(number)) for number in range(100)])
        store.first_at = 10_000
        batch = [orjson.dumps(document(number)) for number in range(100, 300)]
        await asyncio.gather(
            ledger.record("belief", 1), ledger.import_lines(batch, atomic=True), ledger.record("belief", 1)
        )
        assert max(store.groups) >= 200
        assert (await ledger.audit()).ok


async def test_who_comes_while_others_are_let_in_again_is_not_forgotten() -> None:
    class Held(MemoryStore):
        """Lets others in again only when it is let."""

        def __init__(self) -> None:
            super().__init__()
            self.asked, self.let = asyncio.Event(), asyncio.Event()

        async def append(self, ledger: str, *given: Any) -> None:
            if not await self.head(ledger):
                await intrude(self, ledger)
            await super().append(ledger, *given)

        async def release(self) -> None:
            self.asked.set()
            await self.let.wait()

    store = Held()
    async with AsyncLedger.open(store) as ledger:
        first = asyncio.create_task(ledger.record("belief", 1))
        await store.asked.wait()
        second = asyncio.create_task(ledger.record("belief", 2))
        await turns()
        store.let.set()
        async with asyncio.timeout(10):
            assert [(await one).entry for one in (first, second)] == ["@2", "@3"]


class Kind(enum.StrEnum):
    POLICY = "dependency"


async def test_texts_of_a_class_of_their_own_are_texts() -> None:
    async with AsyncLedger.open("memory:") as ledger:
        result = await ledger.record(Kind.POLICY, 1, key=Kind.POLICY, actor=Kind.POLICY)
        assert result.ref == "dependency@1"
