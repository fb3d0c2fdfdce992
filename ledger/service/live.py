"""The live state of one ledger in this process: its index, following the log, and what is judged ahead of it."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from types import TracebackType

from ledger.errors import Corrupt
from ledger.model.entry import EMPTY, GENESIS, MARK_BYTES, Entry, Head, Sealed, head_after, revision_token
from ledger.service.garbage import uncollected
from ledger.service.stretches import Page, Stretch, pages_behind, stretches_behind
from ledger.store.base import Store
from ledger.validity.applying import apply_each
from ledger.validity.checkpoint import Snapshot, snapshot
from ledger.validity.index import Index, Savepoint
from ledger.validity.resolve import name_of

SETTLING_S = (0.01, 0.05, 0.2, 0.5)
"""Pauses between looks at a head that is older than ours: a Neo4j shows a commit in parts, for milliseconds."""

MANY = 10_000
"""So many entries are applied one by one in the time that it takes to load numpy."""


class Live:
    """The validity index as of the last entry this process has heard of.

    Whoever looks does so `with live.durable as index`: alone, from any thread, and at what is durable. Beside that
    there is what the committer has judged and not yet committed. It stays applied for as long as nobody looks, so that
    a bulk of writes is applied once; who looks undoes it first (10 µs an entry, to be applied again later).
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.head = EMPTY
        self.durable = _Durable(self)
        self.index = Index()  # to be looked at `with durable` or `with judging` alone
        self.heard_s = -math.inf
        """When, on the monotonic clock, all that the store held was known here."""
        self.listener: Callable[[Sequence[Entry]], None] | None = None
        """Is told what was taken in, whole batches only, when the index has it."""
        self._chain = bytearray(GENESIS[:MARK_BYTES])  # how the chain hash of each durable entry begins
        self._revision = 0, revision_token(name, 0, GENESIS)  # the last that was asked for
        self._lock = threading.RLock()
        self._reading: asyncio.Future[None] | None = None  # done when whoever reads on has done so
        self._ahead: deque[Sealed] = deque()  # judged on top of `head`, in order
        self._base: Savepoint | None = None  # where the durable state ends in the index, if it shows what is ahead
        self._marks: dict[int, Savepoint | None] = {}  # by last entry of what was judged together: where it shows it

    @property
    def revision(self) -> str:
        return revision_token(self.name, self.head.seq, self.head.hash)

    def revision_of(self, seq: int) -> str:
        """The revision of a durable entry."""
        told, revision = self._revision
        if seq != told:
            mark = bytes(self._chain[seq * MARK_BYTES : (seq + 1) * MARK_BYTES])
            revision = revision_token(self.name, seq, mark)
            if mark:  # else it is not known here, or not any more
                self._revision = seq, revision
        return revision

    @property
    def behind(self) -> bool:
        """Whether another process may have written since."""
        return self.store.moved(self.name, self.head)

    # -- following the log --------------------------------------------------------------------------------------------

    def mark(self, seq: int) -> bytes | None:
        """How the chain hash of a durable entry begins; None if the entry is not known here.

        4 bytes an entry, where the index takes 260: so a check that names a revision asks the store for nothing.
        """
        return bytes(self._chain[seq * MARK_BYTES : (seq + 1) * MARK_BYTES]) or None

    def name_of(self, seq: int) -> str:
        """How people name a durable entry. It never changes: what is ahead need not be undone to look."""
        with self._lock:
            return name_of(self.index, seq)

    def begin_with(self, index: Index, chain: bytes) -> None:
        """Start from what was known before, not from an empty ledger; nothing has been read yet."""
        with self._lock:
            self.index, self.head, self._chain = index, index.head, bytearray(chain)

    def copied(self) -> tuple[Snapshot, bytes]:
        """What `begin_with` takes, as of now: checks wait meanwhile."""
        with self.durable as index:
            return snapshot(index), bytes(self._chain)

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Take in all that the store holds now. Raises Corrupt when the log there is not the one we followed."""
        asked_s = time.monotonic()
        async with self._turn(asked_s) as mine:
            if not mine:
                return  # of those who ask at once, the first asks for all
            for pause_s in SETTLING_S:
                began_s, seen = time.monotonic(), self.head
                head = await self.store.head(self.name) or EMPTY
                await self._read_on(head.seq, progress)
                if head.seq >= seen.seq and self.mark(head.seq) == head.hash[:MARK_BYTES]:
                    self.heard_s = began_s
                    return
                await asyncio.sleep(pause_s)
        raise Corrupt(
            f"{self.name!r} is at entry {head.seq} in the store and went as far as {self.head.seq} before: "
            "that is another history, such as a back-up restored",
            ledger=self.name,
        )

    @asynccontextmanager
    async def _turn(self, asked_s: float) -> AsyncIterator[bool]:
        """Read alone; not at all if meanwhile another heard what there was when this was asked.

        By a future, not by a lock: that lets one of those who wait go on in each turn of a busy loop, so that the last
        of 50 checks waited 180 ms where the commit of another connection took 100.
        """
        while self._reading is not None:
            await asyncio.wait([self._reading])
            if self.heard_s > asked_s:
                yield False
                return
        self._reading = reading = asyncio.get_running_loop().create_future()
        try:
            yield True
        finally:
            self._reading = None
            reading.set_result(None)

    async def _read_on(self, upto: int, progress: Callable[[int], None] | None) -> None:
        """Take in the entries that are not known here yet, up to this one."""
        apply = _in_bulk() if upto - self.head.seq >= MANY else apply_each
        part: Page | Stretch
        # While the ledger is opened nobody looks, and a batch as large as the log need not be held together.
        behind = pages_behind if self.heard_s == -math.inf else stretches_behind
        async with aclosing(behind(self.store, self.name, self.head.seq, upto)) as parts:
            async for part in parts:
                with uncollected():  # a page is opened, taken in and gone before there is anything to collect
                    self._take_on(part.opened() if isinstance(part, Page) else part, apply)
                if progress is not None:
                    progress(part.size)
                await asyncio.sleep(0)

    def take_in(self, entries: Sequence[Sealed]) -> None:
        """Bring committed entries into the index: our own, or those that another process wrote."""
        with self._lock:
            landed = self._land(entries)
        told = [sealed.entry for sealed in entries]
        if landed:
            self._tell(told)
        elif told:
            self._take_on(Stretch(told, b"".join(sealed.hash for sealed in entries)), apply_each)

    def _take_on(self, stretch: Stretch, apply: Callable[[Index, Sequence[Entry]], None]) -> None:
        """Bring those of these entries into the index that it lacks."""
        with self._lock:
            # A reader may have been faster than the writer's own answer.
            stretch = stretch.part(max(0, self.head.seq + 1 - stretch.entries[0].seq))
            if not stretch.entries:
                return
            first, last = stretch.entries[0], stretch.entries[-1]
            if first.seq != self.head.seq + 1:
                raise Corrupt(f"{self.name!r} has a gap: entry {first.seq} follows {self.head.seq}")
            with self.durable as index:
                try:
                    apply(index, stretch.entries)
                except Corrupt as error:
                    self._forget_all()
                    raise Corrupt(f"{self.name!r} is damaged: {error.message}", ledger=self.name) from error
                index.requests.settle(last.seq)
                self.head = index.head = Head(last.seq, stretch.hash_of(-1), last.recorded_at_us)
                self._chain += stretch.marks
                self._overtake(stretch)
        self._tell(stretch.entries)

    def _forget_all(self) -> None:
        """The index holds half of what could not be read. Who asks next reads the log anew, and is told the same."""
        self.void()
        marking = None if self.index.dirty is None else dict[int, int]()
        self.index, self.head, self._chain = Index(), EMPTY, bytearray(GENESIS[:MARK_BYTES])
        self._revision = 0, revision_token(self.name, 0, GENESIS)
        self.index.dirty, self.heard_s = marking, -math.inf

    def _tell(self, entries: Sequence[Entry]) -> None:
        if self.listener is not None:
            self.listener(entries)

    def _overtake(self, stretch: Stretch) -> None:
        """Entries of the log are the next that we have ahead, or another's; then what we have there is void."""
        for place in range(len(stretch.entries)):
            if not self._ahead:
                return
            if self._ahead[0].hash == stretch.hash_of(place):
                self._ahead.popleft()
                self._marks.pop(stretch.entries[place].seq, None)
            else:
                self.void()

    # -- judging ahead of the log -------------------------------------------------------------------------------------

    @property
    def ahead(self) -> Head:
        """The last entry judged, durable or not: what comes next is judged on top of it."""
        return head_after(self._ahead[-1]) if self._ahead else self.head

    def has_ahead(self, head: Head) -> bool:
        """Whether that is judged and neither durable nor void."""
        place = head.seq - self._ahead[0].entry.seq if self._ahead else 0
        return 0 <= place < len(self._ahead) and self._ahead[place].hash == head.hash

    def answered(self, idempotency_keys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """Which of these keys the durable log may remember, and the entries that do if it does."""
        with self._lock:
            found, upto = self.index.requests.find(idempotency_keys), self.head.seq
            return {key: entries for key, entries in found.items() if entries[0] <= upto}

    @contextmanager
    def judging(self, now_us: int) -> Iterator[Index]:
        """The index with everything ahead applied, as of `now_us`, to apply more to it and `put_ahead`."""
        with self._lock:
            index = self.index
            if self._base is None:
                if self._ahead:
                    index.rewind(self._ahead[0].entry.recorded_at_us)  # what is undone must not be what is durable
                self._base = index.savepoint()
                for sealed in self._ahead:
                    index.take_in(sealed)
                    if sealed.entry.seq in self._marks:
                        self._marks[sealed.entry.seq] = index.savepoint()
            index.advance(now_us)
            try:
                yield index
            except BaseException:
                self._hide()
                raise

    @contextmanager
    def supposing(self, now_us: int) -> Iterator[Index]:
        """The durable index as of `now_us`, to apply to it what is only supposed: it is undone at the end."""
        with self.durable as index:
            index.advance(now_us)
            dirty, index.dirty = index.dirty, None  # nobody is to be told of what never was
            supposed = index.savepoint()
            try:
                yield index
            finally:
                index.rollback(supposed)
                index.release()
                index.dirty = dirty

    @contextmanager
    def taking_over(self, recorded_at_us: int) -> Iterator[Index]:
        """The durable index as of when the next entry was recorded, to apply entries of elsewhere and `put_ahead`.

        What was judged here on top of it is void: it did not know of them.
        """
        with self._lock:
            self.void()
            index = self.index
            index.rewind(max(recorded_at_us, self.head.recorded_at_us))  # the clock may have gone on since
            self._base = index.savepoint()
            try:
                yield index
            except BaseException:
                self._hide()
                raise

    def put_ahead(self, entries: Sequence[Sealed]) -> None:
        """Inside `judging` or `taking_over`: these have been applied, on top of everything ahead."""
        if entries:
            self._ahead.extend(entries)
            self.index.head = head_after(entries[-1])
            self._marks[entries[-1].entry.seq] = self.index.savepoint()

    def void(self) -> None:
        """What is ahead will not be committed as it stands."""
        with self._lock:
            self._hide()
            self._ahead.clear()
            self._marks.clear()

    def _land(self, entries: Sequence[Sealed]) -> bool:
        """Let the first of what is ahead become durable where it stands; False if the index does not show it so."""
        mark = self._marks.get(entries[-1].entry.seq) if entries else None
        # Nothing is ahead when a reader has read what the writer already brought in.
        if mark is None or not self._ahead or self._ahead[0] is not entries[0]:
            return False
        for _ in entries:
            self._ahead.popleft()
        self._marks = {seq: later for seq, later in self._marks.items() if seq > entries[-1].entry.seq}
        self.index.settle(mark)
        self._base, self.head = mark, mark.head
        self._chain += b"".join(sealed.hash[:MARK_BYTES] for sealed in entries)
        return True

    def _hide(self) -> None:
        if self._base is not None:
            self.index.rollback(self._base)
            self.index.release()
            self._base = None
            self._marks = dict.fromkeys(self._marks)


class _Durable:
    """Holds a ledger's lock, and its index at what is durable. A class, since a check enters it in 0.3 µs."""

    __slots__ = ("_live",)

    def __init__(self, live: Live) -> None:
        self._live = live

    def __enter__(self) -> Index:
        live = self._live
        live._lock.acquire()
        if live._base is not None:
            live._hide()
        return live.index

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live._lock.release()


def _in_bulk() -> Callable[[Index, Sequence[Entry]], None]:
    from ledger.validity.building import apply_all  # numpy takes a while to load

    return apply_all
