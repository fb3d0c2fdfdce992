"""The ledgers of one store in one process: opened once, shared by all who ask, and closed with the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger.app import AsyncLedger, open_ledgers
from ledger.errors import BadAddress, Malformed, NoSuchDatabase, NoSuchLedger, Unavailable
from ledger.model.entry import Head, Sealed
from ledger.service import ledgers as module
from ledger.service.ledgers import Ledgers
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore


@pytest.fixture(params=["memory", "sqlite"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")


@pytest.fixture
async def ledgers(place: Store) -> AsyncIterator[Ledgers]:
    async with open_ledgers(place) as opened:
        yield opened


def belief(number: int) -> dict[str, object]:
    return {"op": "record", "kind": "belief", "key": f"b/{number}", "content": number}


async def test_one_service_for_all_who_ask(ledgers: Ledgers) -> None:
    """Those who ask at once, and whoever asks later, share a service, so that all see what one writes."""
    services = await asyncio.gather(*(ledgers.get("main", create=True) for _ in range(20)))
    assert len({id(service) for service in services}) == 1
    await services[0].apply(belief(1))
    assert await ledgers.get("main") is services[0]
    assert (await services[0].check(["b/1"])).fresh == ["b/1"]


async def test_ledgers_share_the_store_and_nothing_else(ledgers: Ledgers) -> None:
    for name in ("one", "two"):
        service = await ledgers.get(name, create=True)
        assert service.store is ledgers.store
        await service.apply(belief(1))
    await (await ledgers.get("one")).apply({"op": "revoke", "target": "b/1"})
    assert (await (await ledgers.get("two")).check(["b/1"])).fresh == ["b/1"]
    assert await ledgers.names() == ["one", "two"]


async def test_only_writing_creates(ledgers: Ledgers) -> None:
    """Asking for a ledger that is not there names those that are; one that was only asked for to write is not there."""
    with pytest.raises(NoSuchLedger, match="nothing has been written here yet"):
        await ledgers.get("main")
    await (await ledgers.get("other", create=True)).apply(belief(1))
    await ledgers.get("main", create=True)
    with pytest.raises(NoSuchLedger, match="here are: other"):
        await ledgers.get("main")
    with pytest.raises(Malformed):
        await ledgers.get("No Name")


async def test_what_another_process_created_is_there(ledgers: Ledgers, place: Store) -> None:
    asked_too_early = await ledgers.get("main", create=True)
    another = SqliteStore(place.path) if isinstance(place, SqliteStore) else place
    async with AsyncLedger.open(another, "main") as ledger:
        await ledger.record("belief", 1, key="b/1")
        assert await ledgers.get("main") is asked_too_early
        assert (await asked_too_early.check(["b/1"])).fresh == ["b/1"]


async def test_invented_names_do_not_pile_up(ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ledgers nobody wrote to the newest are kept; one that is closed takes no write, and asking again helps."""
    monkeypatch.setattr(module, "UNWRITTEN_MAX", 3)
    written = await ledgers.get("written", create=True)
    await written.apply(belief(1))
    first = await ledgers.get("first", create=True)
    for number in range(3):
        await ledgers.get(f"invented-{number}", create=True)
    assert set(ledgers._services) == {"written", "invented-0", "invented-1", "invented-2"}
    with pytest.raises(Unavailable):
        await first.apply(belief(1))
    await (await ledgers.get("first", create=True)).apply(belief(1))
    assert await ledgers.get("written") is written
    assert await ledgers.names() == ["first", "written"]


async def test_a_first_write_under_way_keeps_its_ledger(place: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being written for the first time is not closed under the hand."""
    monkeypatch.setattr(module, "UNWRITTEN_MAX", 1)
    async with open_ledgers(place) as ledgers:
        first = await ledgers.get("first", create=True)
        answers = await asyncio.gather(first.apply(belief(1)), ledgers.get("second", create=True))
        assert answers[0].results[0].outcome == "recorded"
        assert await ledgers.get("first") is first


async def test_an_opening_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    place = MemoryStore()
    async with AsyncLedger.open(place, "main") as ledger:
        await ledger.record("belief", 1, key="b/1")
    reads = 0

    async def read(ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        nonlocal reads
        reads += 1
        if reads == 1:
            raise Unavailable("cut off")
        return await MemoryStore.read(place, ledger, after, limit, content=content)

    monkeypatch.setattr(place, "read", read)
    async with open_ledgers(place) as ledgers:
        with pytest.raises(Unavailable):
            await ledgers.get("main")
        assert (await (await ledgers.get("main")).check(["b/1"])).fresh == ["b/1"]


async def test_who_stops_waiting_does_not_undo_it_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that vanishes while a ledger is opened costs nobody else anything."""
    place, gate = MemoryStore(), asyncio.Event()

    async def read(ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        await gate.wait()
        return []

    monkeypatch.setattr(place, "read", read)
    async with open_ledgers(place) as ledgers:
        vanishing, staying = (asyncio.create_task(ledgers.get("main", create=True)) for _ in range(2))
        await asyncio.sleep(0)
        vanishing.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert (await staying).name == "main"
        assert vanishing.cancelled()


async def test_closing_answers_what_waits(place: Store) -> None:
    """What was submitted is durable when the store is closed; what comes later is told so."""
    ledgers = open_ledgers(place)
    await ledgers.open()
    service = await ledgers.get("main", create=True)
    writes = [asyncio.create_task(service.apply(belief(number))) for number in range(50)]
    await asyncio.sleep(0)
    await ledgers.close()
    assert {(await write).results[0].outcome for write in writes} == {"recorded"}
    with pytest.raises(Unavailable):
        await service.apply(belief(50))
    if isinstance(place, SqliteStore):
        async with AsyncLedger.open(SqliteStore(place.path), "main", create=False) as ledger:
            assert (await ledger.status()).head == 50


async def test_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no ledger")
    with pytest.raises(BadAddress):
        open_ledgers("sqlit:///x.db")
    with pytest.raises(NoSuchDatabase):
        await open_ledgers(f"sqlite:///{tmp_path}/notes.txt").open()


async def test_a_ledger_is_open_once_however_late_somebody_asks() -> None:
    """
    one sees that it is not open, and asks the store whether it is there
    another has opened it by the time the store tells                      -> both have the same, and checks see all
    """

    class Slow(MemoryStore):
        waits = False
        told = asyncio.Event()

        async def head(self, ledger: str) -> Head | None:
            found = await super().head(ledger)
            if self.waits:
                self.waits = False
                await self.told.wait()
            return found

    store = Slow()
    async with AsyncLedger.open(store) as ledger:
        await ledger.record("dependency", 1, key="p")
    async with Ledgers(store) as ledgers:
        store.waits = True
        late = asyncio.create_task(ledgers.get("main"))
        await asyncio.sleep(0)
        first = await ledgers.get("main")
        store.told.set()
        assert await late is first
        await first.apply({"op": "revoke", "target": "p"})
        assert (await (await ledgers.get("main")).check(["p"])).fresh == []
