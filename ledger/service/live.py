"""The live state of one ledger in this process: its index, following the log."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence

from ledger.errors import Corrupt
from ledger.model.entry import EMPTY, GENESIS, MARK_BYTES, Head, Sealed, revision_token
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.validity.index import Index

SETTLING_S = (0.01, 0.05, 0.2, 0.5)
"""Pauses between looks at a head that is older than ours: a Neo4j shows a commit in parts, for milliseconds."""


class Live:
    """The validity index as of the last entry this process has heard of.

    `lock` guards the index: it is held for every look and every change, never across waiting, so that a caller from
    another thread sees a whole state.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self.index = Index()
        self.lock = threading.RLock()
        self.heard_s = -math.inf
        """When, on the monotonic clock, all that the store held was known here."""
        self.listener: Callable[[Sequence[Sealed]], None] | None = None
        """Is told what was taken in, whole batches only, when the index has it."""
        self._marks = bytearray(GENESIS[:MARK_BYTES])
        self._reading = asyncio.Lock()

    @property
    def head(self) -> Head:
        return self.index.head

    @property
    def revision(self) -> str:
        return revision_token(self.name, self.head.seq, self.head.hash)

    @property
    def behind(self) -> bool:
        """Whether another process may have written since."""
        return self.store.moved(self.name, self.head)

    def mark(self, seq: int) -> bytes | None:
        """How the chain hash of an entry begins; None if the entry is not known here.

        4 bytes an entry, where the index takes 390: so a check that names a revision asks the store for nothing.
        """
        return bytes(self._marks[seq * MARK_BYTES : (seq + 1) * MARK_BYTES]) or None

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Take in all that the store holds now. Raises Corrupt when the log there is not the one we followed."""
        asked_s = time.monotonic()
        async with self._reading:
            for pause_s in SETTLING_S:
                began_s, seen = time.monotonic(), self.head
                if self.heard_s > asked_s:
                    return  # of those who ask at once, the first asks for all
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

    async def _read_on(self, upto: int, progress: Callable[[int], None] | None) -> None:
        """Take in the entries that are not known here yet, up to this one."""
        # While the ledger is opened nobody looks, and a batch as large as the log need not be held together.
        whole = self.heard_s > -math.inf
        async for entries in batches_behind(self.store, self.name, self.head.seq, upto, whole=whole):
            self.take_in(entries)
            if progress is not None:
                progress(len(entries))
            await asyncio.sleep(0)

    def take_in(self, entries: Sequence[Sealed]) -> None:
        """Bring committed entries into the index."""
        known = self.head.seq
        with self.lock:
            for sealed in entries:
                if sealed.entry.seq != self.index.head.seq + 1:
                    if sealed.entry.seq <= self.index.head.seq:
                        continue  # a reader was faster than the writer's own answer
                    raise Corrupt(f"{self.name!r} has a gap: entry {sealed.entry.seq} follows {self.index.head.seq}")
                self.index.take_in(sealed)
                self._marks += sealed.hash[:MARK_BYTES]
        if self.listener is not None and self.head.seq > known:
            self.listener([sealed for sealed in entries if sealed.entry.seq > known])


async def batches_behind(
    store: Store, ledger: str, after: int, upto: int, *, whole: bool = True
) -> AsyncIterator[list[Sealed]]:
    """The log behind one end of a batch up to another, in pages; `whole`: none of them ends within a batch.

    So that nobody sees half of one (law 10). Raises Corrupt, StoreError.
    """
    held: list[Sealed] = []
    while after < upto:
        page = await store.read(ledger, after, min(PAGE_ENTRIES, upto - after))
        if not page:
            return
        if page[-1].entry.seq <= after:
            raise Corrupt(f"{ledger!r} has entry {page[-1].entry.seq} again behind entry {after}")
        held += page
        after = page[-1].entry.seq
        end = held[-1].entry.batch - held[0].entry.seq if whole and after < upto else len(held)
        if end > 0:
            yield held[:end]
            held = held[end:]
