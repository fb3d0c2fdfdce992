"""The live state of one ledger in this process: its index, following the log."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from ledger.errors import Corrupt
from ledger.model.entry import Head, Sealed, revision_token
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.validity.index import Index


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

    async def catch_up(self, progress: Callable[[int], None] | None = None) -> None:
        """Take in what others wrote. Raises Corrupt when the log there is not the one we followed."""
        async with self._reading:
            while True:
                after = self.head.seq
                page = await self.store.read(self.name, after, PAGE_ENTRIES)
                if not page:
                    return
                if page[-1].entry.seq <= after:
                    raise Corrupt(f"{self.name!r} has entry {page[-1].entry.seq} again behind entry {after}")
                self.take_in([sealed for sealed in page if sealed.entry.seq > self.head.seq])
                if progress is not None:
                    progress(len(page))
                if len(page) < PAGE_ENTRIES:
                    return
                await asyncio.sleep(0)

    def take_in(self, entries: Sequence[Sealed]) -> None:
        """Bring committed entries into the index."""
        with self.lock:
            for sealed in entries:
                if sealed.entry.seq != self.index.head.seq + 1:
                    if sealed.entry.seq <= self.index.head.seq:
                        continue  # a reader was faster than the writer's own answer
                    raise Corrupt(f"{self.name!r} has a gap: entry {sealed.entry.seq} follows {self.index.head.seq}")
                self.index.take_in(sealed)
