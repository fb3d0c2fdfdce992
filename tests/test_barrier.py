"""Law 9 beyond its pages: each guarantee has a mutant that its test kills, and the store is not asked twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ledger import AsyncLedger
from ledger.app import open_ledgers
from ledger.errors import Behind, Corrupt, Malformed, Unavailable
from ledger.model.entry import Head, Sealed, parse_revision, revision_token
from ledger.service.follower import Follower
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from ledger.testing.desk import Desk
from ledger.testing.laws.barrier import SELDOM_S, Barrier
from ledger.testing.line import Line


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    place = MemoryStore()

    async def another() -> Store:
        return place

    desk = Desk(another)
    yield desk
    await desk.finish()


async def _skipped(*_: Any) -> None:
    pass


MUTANTS: list[tuple[str, Any, Callable[..., Any]]] = [
    ("reach", _skipped, Barrier.test_the_new_enemy),
    ("reach", _skipped, Barrier.test_every_read_takes_a_revision),
    ("hear", _skipped, Barrier.test_full_consistency),
    ("lagging", False, Barrier.test_cut_off_from_the_store),
]


@pytest.mark.parametrize(("name", "mutant", "law"), MUTANTS, ids=lambda value: getattr(value, "__name__", str(value)))
async def test_without_the_barrier_the_law_is_broken(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, mutant: Any, law: Callable[..., Any]
) -> None:
    """The same test passes in the contract suite, where nothing is taken away."""
    page = await desk.open()
    monkeypatch.setattr(Follower, name, mutant)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await law(Barrier(), page, desk)
    monkeypatch.undo()
    for opened in desk._open:
        if isinstance(line := opened.ledger._service.store, Line):
            line.cut = False


async def test_a_store_that_each_read_looks_at(desk: Desk) -> None:
    """Whoever cannot look at the log now calls nothing fresh, from the first moment."""
    line = Line(await desk.store())
    page = await desk.open(store=line)
    await page("record dependency p 1                -> @1 recorded fresh")
    line.cut = True
    assert [one.reason for one in (await page.ledger.check(["p", "@1"])).withheld] == ["behind", "behind"]
    with pytest.raises(Behind):
        await page.ledger.why("p")
    line.cut = False
    await page("check p                                  -> fresh")


async def test_those_who_ask_at_once_share_an_answer(desk: Desk) -> None:
    """Fifty checks that want full consistency ask the store a few times, and all are answered as of then."""
    line = Line(await desk.store(), poll_s=SELDOM_S)
    page, other = await desk.open(), await desk.open(store=line, max_lag_s=SELDOM_S)
    await page("record dependency p 1                -> @1 recorded fresh")
    line.asked = 0
    reports = await asyncio.gather(*(other.ledger.check(["p"], full=True) for _ in range(50)))
    assert {report.revision for report in reports} == {page.ledger.revision}
    assert 1 <= line.asked <= 2


async def test_a_revision_that_is_known_asks_nobody(desk: Desk) -> None:
    """Of all that was taken in, how the hash begins is kept: a token of the past is judged from memory."""
    line = Line(await desk.store(), poll_s=SELDOM_S)
    page = await desk.open()
    tokens = [(await page.ledger.record("belief", number, key="b")).revision for number in range(20)]
    other = await desk.open(store=line, max_lag_s=SELDOM_S)
    line.asked = 0
    for token in tokens:
        report = other.ledger._service.check_now(["b"], at_least=token)
        assert report is not None
        assert report.fresh == ["b"]
    assert line.asked == 0


@pytest.mark.parametrize("name", ["@2", "main@2"])
async def test_the_number_of_an_entry_is_no_revision(name: str) -> None:
    """Another history has an entry 2 as well. What is meant is named, where there is one."""
    async with AsyncLedger.open("memory:") as ledger:
        await ledger.record("belief", 1, key="b")
        with pytest.raises(Malformed) as refused:
            await ledger.check(["b"], at=name)
        assert "that of entry" not in str(refused.value)
        second = (await ledger.record("belief", 2, key="b")).revision
        with pytest.raises(Malformed, match=f"that of entry 2 is {second}$") as refused:
            await ledger.check(["b"], at=name)
        assert refused.value.details["field"] == "at"


async def test_lag_is_measured(desk: Desk) -> None:
    """It grows while the store is silent, and is nothing where each read looks at the store itself."""
    line = Line(await desk.store(), poll_s=0.02)
    polled, direct = await desk.open(store=line), await desk.open()
    await polled("record dependency p 1              -> @1 recorded fresh")
    line.cut = True
    await asyncio.sleep(0.3)
    assert 0.25 < (await polled.ledger.status()).lag_s < 5
    line.cut = False
    await asyncio.sleep(0.2)
    assert (await polled.ledger.status()).lag_s < 0.2
    assert (await direct.ledger.status()).lag_s == 0


@pytest.mark.parametrize("poll_s", [None, 0.02], ids=["looked at", "polled"])
async def test_a_store_that_went_back(poll_s: float | None) -> None:
    """A back-up restored under a running process is another history: nothing is fresh here, and nothing is recorded."""
    place = MemoryStore()
    async with AsyncLedger.open(Line(place, poll_s=poll_s), max_lag_s=0.2) as ledger:
        for number in range(3):
            await ledger.record("belief", number, key=f"b/{number}")
        del place._logs["main"][1:]
        await asyncio.sleep(0.3)
        if poll_s is None:
            with pytest.raises(Corrupt, match="another history"):
                await ledger.check(["b/0"])
        else:
            assert (await ledger.check(["b/0"])).withheld[0].reason == "behind"
        with pytest.raises(Corrupt, match="another history"):
            await ledger.record("belief", 4, key="b/4")


async def test_a_store_that_shows_a_commit_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head may be shown a moment before its entry, and an entry before the head: that is no other history."""
    place = MemoryStore()
    async with AsyncLedger.open(place) as writer, AsyncLedger.open(Line(place, poll_s=SELDOM_S)) as reader:
        await writer.record("belief", 1, key="b/1")
        await writer.record("belief", 2, key="b/2")
        parts = iter([1, 1])

        async def read(ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
            return await MemoryStore.read(place, ledger, after, next(parts, limit), content=content)

        monkeypatch.setattr(place, "read", read)
        assert (await reader.check(["b/1", "b/2"], full=True)).fresh == ["b/1", "b/2"]
        monkeypatch.undo()
        whole = await place.head("main")
        heads = iter([Head(1, place._logs["main"][0].hash, 0)])

        async def head(ledger: str) -> Head | None:
            return next(heads, whole)

        monkeypatch.setattr(place, "head", head)
        assert (await reader.check(["b/1", "b/2"], full=True)).fresh == ["b/1", "b/2"]


async def test_max_lag_is_a_setting_of_all_ledgers_of_a_process() -> None:
    line = Line(MemoryStore(), poll_s=0.05)
    async with open_ledgers(line, max_lag_s=0.3, reach_s=0.05) as ledgers:
        service = await ledgers.get("main", create=True)
        await service.apply({"op": "record", "kind": "belief", "key": "b", "content": 1})
        assert (await service.check(["b"])).fresh == ["b"]
        line.cut = True
        with pytest.raises(Behind, match=r"after 0\.05 s"):
            await service.reach("main@9.00000000")
        await asyncio.sleep(0.4)
        assert (await service.check(["b"])).withheld[0].reason == "behind"
        with pytest.raises(Unavailable):
            await ledgers.get("other")
        line.cut = False


def test_a_revision_reads_as_it_is_written() -> None:
    for seq in (0, 1, 1042, 10**14):
        token = revision_token("acme-prod.v1", seq, bytes(range(32)))
        assert parse_revision(token, "at_least") == ("acme-prod.v1", seq, bytes(range(4)))


async def test_a_file_that_another_process_is_making(tmp_path: Path) -> None:
    """Whoever opened before there was a file goes on as before while it is empty, and sees what is written then."""
    path = tmp_path / "ledger.db"
    async with AsyncLedger.open(SqliteStore(path)) as early:
        path.touch()
        assert (await early.check(["b"])).withheld[0].reason == "not_found"
        async with AsyncLedger.open(SqliteStore(path)) as maker:
            await maker.record("belief", 1, key="b")
        assert (await early.check(["b"])).fresh == ["b"]
