"""The SQLite store: who reads waits for nobody, sees what was acknowledged, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from ledger import AsyncLedger, Ledger
from ledger.errors import Behind, Corrupt, Full, Locked, NoSuchDatabase, NotCurrent, Unavailable
from ledger.model.canonical import digest_of
from ledger.model.entry import EMPTY, Belief, Head, Sealed, head_after, seal
from ledger.store import sqlite
from ledger.store.base import NodeState
from ledger.store.sqlite import SqliteStore
from ledger.testing.log import Log

WITHIN_S = 10.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process is writing."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_reads_do_not_wait_while_a_write_waits_for_another_process(file: Path) -> None:
    async with AsyncLedger.open(SqliteStore(file, busy_timeout_s=6 * WITHIN_S)) as ledger:
        await ledger.record("dependency", 1, key="a")
        with locked(file):
            writing = asyncio.create_task(ledger.record("dependency", 2, key="b"))
            await asyncio.sleep(0.1)
            async with asyncio.timeout(WITHIN_S):
                assert (await ledger.check(["a"])).fresh == ["a"]
                assert (await ledger.entry("a")).content == 1
                assert [entry.ref for entry in await ledger.entries()] == ["a@1"]
            assert not writing.done()
        assert (await writing).ref == "b@1"


async def test_a_store_is_opened_while_another_process_writes(file: Path) -> None:
    with Ledger.open(f"sqlite:///{file}") as ledger:
        ledger.record("dependency", 1, key="a")
    with locked(file):
        async with asyncio.timeout(WITHIN_S), AsyncLedger.open(SqliteStore(file, busy_timeout_s=0.0)) as ledger:
            assert (await ledger.check(["a"])).fresh == ["a"]


async def test_what_was_acknowledged_is_read(file: Path) -> None:
    """Though it was written through another connection."""
    log = Log(lambda: _opened(file))
    store = await log.open()
    entries = log.entries(200)
    head = EMPTY
    for number, sealed in enumerate(entries, start=1):
        await store.append("main", head, [sealed])
        head = head_after(sealed)
        read, picked = await asyncio.gather(store.read("main", number - 1), store.pick("main", [number]))
        assert (await store.head("main"), len(read), len(picked)) == (head, 1, 1)
    await store.close()


async def test_a_file_is_read_while_it_is_made(tmp_path: Path) -> None:
    """As nothing at all, until it is there."""
    for number in range(20):
        file = tmp_path / f"{number}.db"
        log = Log(lambda file=file: _opened(file))
        maker, reader = await log.open(), await log.open()
        (sealed,) = log.entries(1)
        making = asyncio.create_task(maker.append("main", EMPTY, [sealed]))
        seen = [await store.head("main") for store in (reader, maker)]
        while not making.done():
            seen.append(await reader.head("main"))
            seen.append(await maker.head("main"))
            await asyncio.sleep(0)
        await making
        assert {None, head_after(sealed)} >= set(seen)
        assert await reader.head("main") == await maker.head("main") == head_after(sealed)
        for store in log.stores:
            await store.close()


async def test_closing_waits_for_what_is_under_way_and_leaves_no_file_open(file: Path) -> None:
    store = SqliteStore(file)
    log = Log(lambda: _opened(file))
    entries = log.entries(2)
    await store.open(create=True)
    await store.append("main", EMPTY, entries[:1])
    with locked(file):
        writing = asyncio.create_task(store.append("main", head_after(entries[0]), entries[1:]))
        reading = asyncio.create_task(store.read("main", 0))
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(store.close())
        await asyncio.sleep(0.1)
        assert not closing.done()
    await asyncio.gather(writing, reading, closing)
    assert list(file.parent.iterdir()) == [file], "the last who closes takes the write-ahead log with it"
    await store.close()
    assert await (await log.open()).head("main") == head_after(entries[1])
    await log.stores[0].close()


async def test_who_only_reads_writes_nothing(file: Path) -> None:
    """Not even the way in which a file brought from elsewhere is kept."""
    with Ledger.open(f"sqlite:///{file}") as ledger:
        ledger.record("dependency", 1, key="a")
    with contextlib.closing(sqlite3.connect(file)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
    before = file.read_bytes()
    async with AsyncLedger.open(SqliteStore(file), create=False) as ledger:
        assert (await ledger.check(["a"])).fresh == ["a"]
        assert file.read_bytes() == before
        await ledger.record("dependency", 2, key="b")
        assert (await ledger.check(["b"])).fresh == ["b"]
    assert file.read_bytes()[18:20] == b"\2\2", "the writer did not switch to the write-ahead log"


async def test_a_file_that_became_another(file: Path) -> None:
    """Before the first write; who writes looks as who reads does."""
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        with contextlib.closing(sqlite3.connect(file)) as other, other:
            other.execute("CREATE TABLE song (name TEXT)")
        with pytest.raises(NoSuchDatabase):
            await ledger.record("dependency", 1, key="a")
        with pytest.raises(NoSuchDatabase):
            await ledger.check(["a"])


async def told_by(ledger: AsyncLedger, **how: Any) -> list[str | None]:
    return [verdict.reason for verdict in (await ledger.check(["a"], **how)).verdicts]


async def test_a_file_that_is_gone(file: Path) -> None:
    """It is open still, and what is written there is lost: nothing is fresh, nothing recorded, until it is back."""
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        await ledger.record("dependency", 1, key="a")
        assert await told_by(ledger) == [None]
        away = file.rename(file.with_suffix(".away"))
        assert await told_by(ledger, full=True) == ["behind"]
        await asyncio.sleep(1.2 * sqlite.FILE_LOOK_S)
        assert ledger._service.check_now(["a"]) is None
        assert await told_by(ledger) == ["behind"]
        for read in (ledger.why("a"), ledger.entries(), ledger.history("a")):
            with pytest.raises(Behind):
                await read
        with pytest.raises(Unavailable, match="No such file"):
            await ledger.record("dependency", 2, key="b")
        assert not file.exists()
        away.rename(file)
        assert await told_by(ledger) == [None]
        assert (await ledger.record("dependency", 2, key="b")).ref == "b@1"


@pytest.mark.parametrize("wrote", [True, False], ids=["who wrote", "who only read"])
async def test_a_file_with_another_in_its_place(file: Path, wrote: bool) -> None:
    """A back-up put under a running process: it goes on in the file that was there for nobody, and says so."""
    back_up = file.with_suffix(".back-up")
    for made in (file, back_up):
        with Ledger.open(f"sqlite:///{made}") as maker:
            maker.record("dependency", 1, key="a")
    with Ledger.open(f"sqlite:///{back_up}") as maker:
        maker.revoke("a")
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        if wrote:
            await ledger.record("dependency", 2, key="b")
        assert await told_by(ledger) == [None]
        back_up.replace(file)
        with pytest.raises(Corrupt, match="another file"):
            await ledger.check(["a"], full=True)
        await asyncio.sleep(1.2 * sqlite.FILE_LOOK_S)
        for use in (ledger.check(["a"]), ledger.why("a"), ledger.record("dependency", 3, key="c"), ledger.tag("t")):
            with pytest.raises(Corrupt, match="another file"):
                await use


async def test_who_is_left_with_a_file_that_was_replaced_spoils_nothing_of_the_new_one(file: Path) -> None:
    """Its write-ahead log lies where that of the old file lay; he who closes the old one must not empty it."""
    back_up = file.with_suffix(".back-up")
    for made in (file, back_up):
        with Ledger.open(f"sqlite:///{made}") as maker:
            maker.record("dependency", 1, key="a")
    async with AsyncLedger.open(SqliteStore(file)) as left:
        assert await told_by(left) == [None]
        back_up.replace(file)
        async with AsyncLedger.open(SqliteStore(file)) as ledger:
            for number in range(5):
                await ledger.record("dependency", number, key=f"new/{number}")
            await left._service.store.close()
            assert (await ledger.check(["new/4"], full=True)).fresh == ["new/4"]
            await ledger.record("dependency", 5, key="new/5")
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        assert (await ledger.check([f"new/{number}" for number in range(6)])).withheld == []
        assert (await ledger.audit()).ok


async def test_a_file_that_goes_when_it_has_just_been_made(file: Path) -> None:
    """Nothing but the writer knows it then."""
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        await ledger.record("dependency", 1, key="a")
        for one in file.parent.glob(f"{file.name}*"):
            one.unlink()
        assert [one.reason for one in (await ledger.check(["a"])).withheld] == ["behind"]
        with pytest.raises(Behind):
            await ledger.entries()


async def test_a_file_named_from_a_folder_that_was_left(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays the file it was when the ledger was opened."""
    monkeypatch.chdir(file.parent)
    async with AsyncLedger.open("sqlite:///ledger.db") as ledger:
        monkeypatch.chdir("/")
        await ledger.record("dependency", 1, key="a")
        assert await told_by(ledger, full=True) == [None]
    assert file.exists()


class Late(SqliteStore):
    """Beside another process that is first each time, unless it is kept out."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.other = SqliteStore(file, busy_timeout_s=0.0)
        self.patient = SqliteStore(file)
        self.tries = 0

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        self.tries += 1
        assert self.tries < 20, "it is never its turn"
        with contextlib.suppress(Locked):
            await self.intrude(ledger, self.other)
        await super().append(ledger, expects, entries, states)

    async def intrude(self, ledger: str, store: SqliteStore) -> None:
        head = await store.head(ledger) or EMPTY
        entry = Belief(
            seq=head.seq + 1,
            batch=head.seq + 1,
            recorded_at_us=max(head.recorded_at_us, 1),
            key="intruder",
            version=head.seq + 1,
            digest=digest_of(1),
        )
        await store.append(ledger, head, [seal(entry, head.hash, "1")])


@pytest.fixture
async def late(file: Path) -> AsyncIterator[Late]:
    store = Late(file)
    yield store
    await store.other.close()
    await store.patient.close()


async def test_who_was_too_late_once_is_in_time_then(late: Late) -> None:
    """However long it takes to judge: other processes wait for that."""
    async with AsyncLedger.open(late) as ledger:
        lines = [orjson.dumps({"op": "record", "kind": "belief", "key": f"k/{n}", "content": n}) for n in range(50)]
        await ledger.import_lines(lines, atomic=True)
        assert late.tries == 2
        assert [entry.key for entry in await ledger.entries()][:2] == ["intruder", "k/0"]
        assert (await ledger.audit()).ok


async def test_others_are_kept_out_no_longer_than_needed(late: Late) -> None:
    """
    judged anew it records something   -> they may write when that is done
    judged anew it is refused          -> they may write at once
    """
    async with AsyncLedger.open(late) as ledger:
        await ledger.record("belief", 1, key="a")
        await late.intrude("main", late.other)
        with pytest.raises(NotCurrent):
            await ledger.record("belief", 2, key="intruder", expects=3)
        assert late.tries == 3
        # The caller is told first, and others are let in then: who waits a little gets his turn.
        await late.intrude("main", late.patient)
        assert [entry.key for entry in await ledger.entries()] == ["intruder", "a", *["intruder"] * 3]


async def test_a_ledger_that_could_not_be_made_has_no_number(file: Path) -> None:
    """Its row was undone with the rest, and others have been made since: none gets what is of another."""
    ours, theirs = SqliteStore(file), SqliteStore(file)
    await ours.open(create=True)
    big = Log(lambda: _opened(file)).entries(1, content="x" * 500_000)

    async def pages(most: int) -> None:
        await ours._writing.run(lambda connection: connection.execute(f"PRAGMA max_page_count = {most}").fetchall())

    await pages(60)  # a full disk
    with pytest.raises(Full):
        await ours.append("b", EMPTY, big)
    await pages(1_000_000)
    await theirs.open(create=True)
    entries = Log(lambda: _opened(file)).entries(3)
    await theirs.append("a", EMPTY, entries[:1])
    await theirs.append("b", EMPTY, entries[:2])
    await ours.append("b", head_after(entries[1]), entries[2:])
    assert await ours.read("a", 0, content=True) == entries[:1]
    assert await ours.read("b", 0, content=True) == entries
    for store in (ours, theirs):
        await store.close()


SECRET = "of nobody's business"


@contextlib.contextmanager
def read_by_another(file: Path) -> Iterator[None]:
    """Another process looks at all that is there, and goes on looking at it."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM entry").fetchone()
        yield


def lies_on_disk(file: Path) -> bool:
    return any(SECRET.encode() in one.read_bytes() for one in file.parent.glob(f"{file.name}*"))


async def test_what_is_erased_is_on_no_disk(file: Path) -> None:
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        await ledger.record("belief", SECRET, key="a")
        assert lies_on_disk(file)
        await ledger.revoke("a", "erased")
        assert not lies_on_disk(file)


async def test_an_erasure_waits_for_nobody_who_reads_and_is_carried_through_after_him(file: Path) -> None:
    """
    somebody reads, and SQLite keeps for him what he may read -> the erasure is acknowledged; its bytes are still there
    more is written meanwhile                                 -> at once
    nobody reads any more, and something is written           -> they are gone
    """
    async with AsyncLedger.open(SqliteStore(file, busy_timeout_s=6 * WITHIN_S)) as ledger:
        await ledger.record("belief", SECRET, key="a")
        with read_by_another(file):
            began_s = time.monotonic()
            await ledger.revoke("a", "erased")
            await ledger.record("belief", 1, key="b")
            assert time.monotonic() - began_s < WITHIN_S
            assert (await ledger.check(["a"])).withheld[0].reason == "erased"
            assert lies_on_disk(file)
        await ledger.record("belief", 1, key="c")
        assert not lies_on_disk(file)


async def test_an_erasure_is_carried_through_at_closing(file: Path) -> None:
    """Though the file stays open elsewhere."""
    with contextlib.closing(sqlite3.connect(file)) as other:
        async with AsyncLedger.open(SqliteStore(file)) as ledger:
            await ledger.record("belief", SECRET, key="a")
            with read_by_another(file):
                await ledger.revoke("a", "erased")
            other.execute("SELECT count(*) FROM entry").fetchone()
            assert lies_on_disk(file)
        assert not lies_on_disk(file)


async def test_an_erasure_is_carried_through_by_who_comes_after_one_that_was_killed(file: Path, tmp_path: Path) -> None:
    """With the first thing it writes."""
    (left := tmp_path / "left").mkdir()
    async with AsyncLedger.open(SqliteStore(file)) as ledger:
        await ledger.record("belief", SECRET, key="a")
        with read_by_another(file):
            await ledger.revoke("a", "erased")
            for one in (file, file.with_name(f"{file.name}-wal")):
                shutil.copy(one, left)
    async with AsyncLedger.open(SqliteStore(left / file.name)) as ledger:
        assert lies_on_disk(left / file.name)
        await ledger.record("belief", 1, key="b")
        assert not lies_on_disk(left / file.name)


async def test_an_erasure_is_recorded_though_what_was_written_ahead_has_no_room_in_the_file(file: Path) -> None:
    """The commit is durable by then: nobody is told that it failed."""
    store = SqliteStore(file)

    def no_room(_: int, pragma: str | None, *__: str | None) -> int:
        return sqlite3.SQLITE_DENY if pragma == "wal_checkpoint" else sqlite3.SQLITE_OK

    async with AsyncLedger.open(store) as ledger:
        await ledger.record("belief", SECRET, key="a")
        await store._writing.run(lambda connection: connection.set_authorizer(no_room))
        assert (await ledger.revoke("a", "erased")).verdict.reason == "erased"
        await store._writing.run(lambda connection: connection.set_authorizer(None))
        assert lies_on_disk(file)
        await ledger.record("belief", 1, key="b")
        assert not lies_on_disk(file)


async def _opened(file: Path) -> SqliteStore:
    return SqliteStore(file)
