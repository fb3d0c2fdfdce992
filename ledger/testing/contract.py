"""The suite a store is held to: all laws on a ledger kept in it, and the port by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from msgspec.structs import replace

from ledger.errors import HeadMoved, NoSuchLedger
from ledger.model.canonical import digest_of
from ledger.model.entry import (
    EMPTY,
    Dependency,
    Revocation,
    Sealed,
    head_after,
    open_envelopes,
)
from ledger.model.tag import Tag
from ledger.store.base import PAGE_CHARS, NodeState, collected
from ledger.testing.desk import Desk, StoreFactory
from ledger.testing.laws.acts import Acts
from ledger.testing.laws.answering import Idempotency
from ledger.testing.laws.barrier import Barrier
from ledger.testing.laws.causes import Causes
from ledger.testing.laws.differing import Differing
from ledger.testing.laws.foreseeing import Foreseeing, WithdrawingMany
from ledger.testing.laws.keeping import Carrying, Chain, History
from ledger.testing.laws.naming import Contents, Disclosure, References
from ledger.testing.laws.passing import Ageing, Diverging, Expiring
from ledger.testing.laws.recording import Recording
from ledger.testing.laws.repeating import Repeating
from ledger.testing.laws.superseding import Superseding
from ledger.testing.laws.tagging import Tagging
from ledger.testing.laws.validity import StaleGround, Validity
from ledger.testing.laws.watching import Watching
from ledger.testing.laws.withdrawing import Erasing, Withdrawing
from ledger.testing.laws.withholding import Withholding
from ledger.testing.laws.writing import Batches
from ledger.testing.log import Log
from ledger.testing.page import Page


class _Place:
    """What a store author gives."""

    @pytest.fixture
    def store(self) -> StoreFactory:
        raise NotImplementedError("give a fixture `store`: an async callable that returns unopened stores on one place")

    @pytest_asyncio.fixture
    async def log(self, store: StoreFactory) -> AsyncIterator[Log]:
        log = Log(store)
        yield log
        for opened in log.stores:
            await opened.close()


@pytest.mark.asyncio
class LedgerContract(
    WithdrawingMany,
    Foreseeing,
    Carrying,
    Contents,
    References,
    Disclosure,
    Acts,
    StaleGround,
    Causes,
    Chain,
    Differing,
    History,
    Tagging,
    Idempotency,
    Batches,
    Barrier,
    Watching,
    Diverging,
    Ageing,
    Expiring,
    Validity,
    Erasing,
    Withdrawing,
    Superseding,
    Withholding,
    Repeating,
    Recording,
    _Place,  # pytest runs what is inherited last first
):
    """The laws; after each test every ledger it left open passes an audit."""

    @pytest_asyncio.fixture
    async def desk(self, store: StoreFactory) -> AsyncIterator[Desk]:
        desk = Desk(store)
        yield desk
        await desk.finish()

    @pytest_asyncio.fixture
    async def page(self, desk: Desk) -> Page:
        return await desk.open()


@pytest.mark.asyncio
class StoreContract(_Place):
    """The port, as `ledger.store.base.Store` describes it."""

    async def test_a_ledger_that_does_not_exist(self, log: Log) -> None:
        """A ledger nobody wrote to has no head and no entries, and is not listed."""
        store = await log.open()
        assert await store.head(log.name) is None
        assert await store.read(log.name, 0) == []
        assert await store.pick(log.name, [1, 2]) == []
        assert log.name not in await store.ledgers()

    async def test_the_first_append_creates(self, log: Log) -> None:
        """A ledger comes into being by its first append, and is then listed, in order of names."""
        store = await log.open()
        for suffix in (".b", ".a"):
            await store.append(log.name + suffix, EMPTY, log.entries(1))
        names = await store.ledgers()
        assert names == sorted(names)
        assert {log.name + ".a", log.name + ".b"} <= set(names)

    async def test_entries_come_back_byte_for_byte(self, log: Log) -> None:
        """What is read is what was appended: envelope, hash, content."""
        store, entries = await log.open(), log.every_kind()
        await store.append(log.name, EMPTY, entries)
        assert await store.read(log.name, 0, content=True) == [log.kept(sealed) for sealed in entries]
        assert await store.read(log.name, 0) == [replace(sealed, content=None) for sealed in entries]

    async def test_columns(self, log: Log) -> None:
        """`collect` gives envelopes and hashes of what `read` gives."""
        store, entries = await log.open(), log.every_kind()
        assert await store.collect(log.name, 0) == collected([], [])
        await store.append(log.name, EMPTY, entries)
        for after, limit in ((0, len(entries)), (0, 4), (3, 4), (len(entries) - 1, 9), (len(entries), 9)):
            page = await store.read(log.name, after, limit)
            columns = collected([sealed.envelope for sealed in page], [sealed.hash for sealed in page])
            assert await store.collect(log.name, after, limit) == columns
            assert open_envelopes(columns.envelopes) == [sealed.entry for sealed in page]

    async def test_head(self, log: Log) -> None:
        """The head is the number, hash and moment of the last entry."""
        store, entries = await log.open(), log.entries(3)
        await store.append(log.name, EMPTY, entries[:2])
        assert await store.head(log.name) == head_after(entries[1])
        await store.append(log.name, head_after(entries[1]), entries[2:])
        assert await store.head(log.name) == head_after(entries[2])

    async def test_reading_in_pages(self, log: Log) -> None:
        """`read` gives up to `limit` entries after a number, in order."""
        store, entries = await log.open(), log.entries(10)
        await store.append(log.name, EMPTY, entries)
        assert await store.read(log.name, 0, 4, content=True) == entries[:4]
        assert await store.read(log.name, 4, 4, content=True) == entries[4:8]
        assert await store.read(log.name, 8, 4, content=True) == entries[8:]
        assert await store.read(log.name, 10, 4) == []
        assert await store.read(log.name, 99, 4) == []

    async def test_large_contents_end_a_page(self, log: Log) -> None:
        """`read` with contents ends with the one that makes them too much at once; the next page goes on behind it."""
        store, entries = await log.open(), log.entries(PAGE_CHARS // 1_000_000 + 4, content="x" * 1_000_000)
        await store.append(log.name, EMPTY, entries)
        first = await store.read(log.name, 0, content=True)
        assert first == entries[: PAGE_CHARS // 1_000_000]
        assert await store.read(log.name, len(first), content=True) == entries[len(first) :]
        assert len(await store.read(log.name, 0)) == len(entries)

    async def test_picking(self, log: Log) -> None:
        """`pick` gives entries in the order asked, and leaves out numbers that do not exist."""
        store, entries = await log.open(), log.entries(5)
        await store.append(log.name, EMPTY, entries)
        assert await store.pick(log.name, [4, 1, 9, 3], content=True) == [entries[3], entries[0], entries[2]]
        assert await store.pick(log.name, [2]) == [replace(entries[1], content=None)]
        assert await store.pick(log.name, []) == []
        assert await store.pick(log.name, [0, 6]) == []

    async def test_many_entries_at_once(self, log: Log) -> None:
        """One append takes what a caller's batch holds, large contents among it."""
        store, entries = await log.open(), log.entries(1_000, content="ä" * 1_000)
        await store.append(log.name, EMPTY, entries)
        assert await store.read(log.name, 0, content=True) == entries
        assert await store.head(log.name) == head_after(entries[-1])

    async def test_ledgers_are_apart(self, log: Log) -> None:
        """Ledgers of one place number their own entries, and share nothing."""
        store, entries = await log.open(), log.entries(4)
        await store.append(log.name + ".a", EMPTY, entries)
        await store.append(log.name + ".b", EMPTY, entries[:2])
        assert await store.head(log.name + ".b") == head_after(entries[1])
        assert await store.read(log.name + ".b", 0, content=True) == entries[:2]
        assert await store.pick(log.name + ".b", [3]) == []

    async def test_the_loser_writes_nothing(self, log: Log) -> None:
        """`append` raises HeadMoved when the head is not the one expected, and writes nothing."""
        store, entries = await log.open(), log.entries(6)
        await store.append(log.name, EMPTY, entries[:2])
        head = head_after(entries[1])
        for expects in (EMPTY, head_after(entries[0]), head._replace(hash=bytes(32)), head_after(entries[2])):
            with pytest.raises(HeadMoved):
                await store.append(log.name, expects, entries[2:])
        assert await store.head(log.name) == head
        assert await store.read(log.name, 0, content=True) == entries[:2]
        await store.append(log.name, head, entries[2:])

    async def test_what_is_prepared_is_a_courtesy(self, log: Log) -> None:
        """`prepare` changes nothing of what `append` writes: the same, others, one that grew, or after a refusal."""
        store, entries = await log.open(), log.every_kind()
        first, other, last = entries[:3], log.following(entries[:3], actor="another"), entries[3:]
        store.prepare(log.name, EMPTY, first)
        await store.append(log.name, EMPTY, first)
        store.prepare(log.name, head_after(first[-1]), other)
        growing = last[:1]
        store.prepare(log.name, head_after(first[-1]), growing)
        growing += last[1:2]
        await store.append(log.name, head_after(first[-1]), growing)
        elsewhere = head_after(growing[-1])._replace(hash=bytes(32))
        store.prepare(log.name, elsewhere, last[2:])
        with pytest.raises(HeadMoved):
            await store.append(log.name, elsewhere, last[2:])
        store.prepare(log.name, head_after(growing[-1]), last[2:])
        await store.append(log.name, head_after(growing[-1]), last[2:])
        assert await store.read(log.name, 0, content=True) == [log.kept(sealed) for sealed in entries]

    async def test_a_ledger_that_is_not_there_has_not_the_head_expected(self, log: Log) -> None:
        """An append that expects entries where there is no ledger creates none."""
        store, entries = await log.open(), log.entries(3)
        with pytest.raises(HeadMoved):
            await store.append(log.name, head_after(entries[1]), entries[2:])
        assert await store.head(log.name) is None
        assert log.name not in await store.ledgers()

    async def test_two_writers_racing(self, log: Log) -> None:
        """Of two who append on the same head at once, one wins and the other writes nothing."""
        writers = [await log.open(), await log.open()]
        head, kept = EMPTY, list[Sealed]()
        for turn in range(10):
            offers = [log.following(kept, actor=f"{turn}-{number}") for number in range(2)]
            pairs = zip(writers, offers, strict=True)
            answers = await asyncio.gather(
                *(store.append(log.name, head, offer) for store, offer in pairs), return_exceptions=True
            )
            assert sorted(type(answer).__name__ for answer in answers) == ["HeadMoved", "NoneType"]
            won = offers[answers.index(None)]
            kept += won
            head = head_after(won[-1])
            assert await writers[0].head(log.name) == await writers[1].head(log.name) == head
        assert await writers[1].read(log.name, 0, content=True) == kept

    async def test_who_keeps_others_out_lets_them_in_again(self, log: Log) -> None:
        """`hold` lasts until the next `append`, landed or not, or until `release`; both may be for nothing."""
        one, other, entries = await log.open(), await log.open(), log.entries(4)
        await one.release()
        await one.append(log.name, EMPTY, entries[:1])
        await one.hold()
        await one.hold()
        await one.append(log.name, head_after(entries[0]), entries[1:2])
        await other.append(log.name, head_after(entries[1]), entries[2:3])
        await one.hold()
        with pytest.raises(HeadMoved):
            await one.append(log.name, head_after(entries[1]), entries[2:3])
        await one.hold()
        await one.release()
        await other.append(log.name, head_after(entries[2]), entries[3:])
        assert await one.read(log.name, 0, content=True) == entries

    async def test_erasure_drops_contents(self, log: Log) -> None:
        """With a revocation the contents go that it erases, whenever they were written; all else stays."""
        store, entries = await log.open(), log.entries(3, content="hush")
        await store.append(log.name, EMPTY, entries)
        last = log.next_to(entries[2], Dependency, digest=digest_of("hush"), key="p", version=4, content='"hush"')
        erasure = log.next_to(last, Revocation, targets=(1,), mode="erased", erases=(1, 3, 4))
        await store.append(log.name, head_after(entries[2]), [last, erasure])
        for reader in (store, await log.open()):
            found = await reader.read(log.name, 0, content=True)
            assert [sealed.content for sealed in found] == [None, '"hush"', None, None, None]
            assert [sealed.envelope for sealed in found] == [sealed.envelope for sealed in (*entries, last, erasure)]
            assert [sealed.content for sealed in await reader.pick(log.name, [3, 2], content=True)] == [
                None,
                '"hush"',
            ]

    async def test_only_erasure_drops_contents(self, log: Log) -> None:
        """Other withdrawals leave the content where it is."""
        store, entries = await log.open(), log.entries(1)
        revocation = log.next_to(entries[0], Revocation, targets=(1,))
        await store.append(log.name, EMPTY, [*entries, revocation])
        assert (await store.pick(log.name, [1], content=True))[0].content == entries[0].content

    async def test_another_process_sees_what_was_written(self, log: Log) -> None:
        """What one wrote another reads, and a store opened later too."""
        one, two = await log.open(), await log.open()
        entries = log.entries(2)
        await one.append(log.name, EMPTY, entries[:1])
        assert await two.read(log.name, 0, content=True) == entries[:1]
        await two.append(log.name, head_after(entries[0]), entries[1:])
        assert await one.head(log.name) == head_after(entries[1])
        await one.close()
        three = await log.open()
        assert await three.read(log.name, 0, content=True) == entries

    async def test_moved_tells_what_another_wrote(self, log: Log) -> None:
        """A store that is not polled tells at once that another wrote."""
        one, two = await log.open(), await log.open()
        entries = log.entries(2)
        await one.append(log.name, EMPTY, entries[:1])
        for seen, appended in ((EMPTY, entries[:1]), (head_after(entries[0]), entries[1:])):
            if seen != EMPTY:
                await one.append(log.name, seen, appended)
            assert two.poll_s is not None or two.moved(log.name, seen)
        assert two.poll_s is None or two.poll_s <= 2

    async def test_tags(self, log: Log) -> None:
        """A tag is kept as it was put, beside the log; those of a ledger are listed by name."""
        store, entries = await log.open(), log.entries(2)
        await store.append(log.name, EMPTY, entries)
        assert await store.tags(log.name) == []
        tags = [Tag("b", 2, entries[1].hash), Tag("a.1_-", 1, entries[0].hash), Tag("0", 0, EMPTY.hash)]
        for tag in tags:
            assert await store.put_tag(log.name, tag) is None
        for reader in (store, await log.open()):
            assert await reader.tags(log.name) == sorted(tags)
        assert await store.tags(log.name + ".other") == []
        assert await store.head(log.name) == head_after(entries[1])

    async def test_a_tag_that_is_taken(self, log: Log) -> None:
        """Who comes second is given the tag that has the name, be it the same one, and writes nothing."""
        store, entries = await log.open(), log.entries(2)
        await store.append(log.name, EMPTY, entries)
        await store.append(log.name + ".other", EMPTY, entries)
        first, second = (Tag("v", sealed.entry.seq, sealed.hash) for sealed in entries)
        assert await store.put_tag(log.name, first) is None
        for other in (store, await log.open()):
            assert await other.put_tag(log.name, first) == first
            assert await other.put_tag(log.name, second) == first
        assert await store.tags(log.name) == [first]
        assert await store.put_tag(log.name + ".other", second) is None

    async def test_a_tag_creates_no_ledger(self, log: Log) -> None:
        """A ledger nobody wrote to cannot be tagged."""
        store = await log.open()
        with pytest.raises(NoSuchLedger):
            await store.put_tag(log.name, Tag("v", 0, EMPTY.hash))
        assert log.name not in await store.ledgers()
        assert await store.tags(log.name) == []

    async def test_two_that_tag_at_once(self, log: Log) -> None:
        """Of two who give one name at once one does, and the other is given what it did."""
        stores, entries = [await log.open(), await log.open()], log.entries(2)
        await stores[0].append(log.name, EMPTY, entries)
        for turn in range(10):
            offers = [Tag(f"v{turn}", sealed.entry.seq, sealed.hash) for sealed in entries]
            pairs = zip(stores, offers, strict=True)
            taken = await asyncio.gather(*(store.put_tag(log.name, offer) for store, offer in pairs))
            won = offers[taken.index(None)]
            assert sorted(taken, key=bool) == [None, won]
            assert won in await stores[1].tags(log.name)

    async def test_closing_twice(self, log: Log) -> None:
        """`close` may be called twice, and before anything was written."""
        store = await log.open()
        await store.close()
        await store.close()


@pytest.mark.asyncio
class StateStoreContract(_Place):
    """What a store promises besides that shows states on its nodes (`StateStore`)."""

    async def test_states_are_read_as_written(self, log: Log) -> None:
        """States are kept by entry, with how far they go; what was not written has none."""
        store = await log.open_shown()
        await store.append(log.name, EMPTY, log.entries(3))
        assert await store.take_lease(log.name, "me", 60) == 0
        await store.write_states(log.name, "me", [NodeState(1, "stale", "superseded"), NodeState(2, "fresh", None)], 2)
        assert await store.take_lease(log.name, "me", 60) == 2
        upto, shown = await store.read_states(log.name)
        assert upto == 2
        assert {seq: state for seq, state in shown.items() if state[0]} == {
            1: ("stale", "superseded"),
            2: ("fresh", None),
        }

    async def test_a_record_is_born_with_its_state(self, log: Log) -> None:
        """States given with an append are shown with the entries, and written over by newer ones only."""
        store, entries = await log.open_shown(), log.entries(2)
        await store.append(log.name, EMPTY, entries, [NodeState(1, "stale", "superseded"), NodeState(2, "fresh", None)])
        _, shown = await store.read_states(log.name)
        assert shown == {1: ("stale", "superseded"), 2: ("fresh", None)}
        await store.take_lease(log.name, "me", 60)
        await store.write_states(log.name, "me", [NodeState(2, "stale", "revoked")], 1)
        assert (await store.read_states(log.name))[1][2] == ("fresh", None)

    async def test_states_never_go_back(self, log: Log) -> None:
        """An older state is never written over a newer one."""
        store = await log.open_shown()
        await store.append(log.name, EMPTY, log.entries(3))
        await store.take_lease(log.name, "me", 60)
        await store.write_states(log.name, "me", [NodeState(1, "stale", "superseded")], 3)
        await store.write_states(log.name, "me", [NodeState(1, "fresh", None)], 2)
        upto, shown = await store.read_states(log.name)
        assert (upto, shown[1]) == (3, ("stale", "superseded"))

    async def test_one_holds_the_lease(self, log: Log) -> None:
        """Only one holder writes states; the lease is free again when its time is over."""
        store = await log.open_shown()
        await store.append(log.name, EMPTY, log.entries(1))
        assert await store.take_lease(log.name, "me", 0.5) == 0
        assert await store.take_lease(log.name, "you", 60) is None
        assert await store.take_lease(log.name, "me", 0.5) == 0
        await asyncio.sleep(0.7)
        assert await store.take_lease(log.name, "you", 60) == 0
        assert await store.take_lease(log.name, "me", 60) is None
