"""The log as it is read on: a page at a time, of which the next is on its way while one is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from ledger.errors import Corrupt
from ledger.model.entry import HASH_BYTES, MARK_BYTES, Entry, open_envelopes
from ledger.service.garbage import uncollected
from ledger.store.base import PAGE_ENTRIES, Collected, Store


class Stretch(NamedTuple):
    """Entries that follow each other, and their chain hashes one behind the other."""

    entries: list[Entry]
    hashes: bytes

    @property
    def size(self) -> int:
        return len(self.entries)

    def hash_of(self, place: int) -> bytes:
        """The chain hash of one of them; -1: of the last."""
        start = place % len(self.entries) * HASH_BYTES
        return self.hashes[start : start + HASH_BYTES]

    @property
    def marks(self) -> bytes:
        """How each of the hashes begins."""
        found = bytearray(MARK_BYTES * len(self.entries))
        for byte in range(MARK_BYTES):
            found[byte::MARK_BYTES] = self.hashes[byte::HASH_BYTES]
        return bytes(found)

    def part(self, start: int, end: int | None = None) -> Stretch:
        """Those from one place to before another."""
        hashes = slice(start * HASH_BYTES, None if end is None else end * HASH_BYTES)
        return Stretch(self.entries[start:end], self.hashes[hashes])


async def stretches_behind(store: Store, ledger: str, after: int, upto: int) -> AsyncGenerator[Stretch]:
    """The log behind one end of a batch up to another; none of the stretches ends within a batch.

    So that nobody sees half of one (law 10). Raises Corrupt, StoreError.
    """
    held = Stretch([], b"")
    async with aclosing(pages_behind(store, ledger, after, upto)) as pages:
        async for page in pages:
            with uncollected():
                stretch = page.opened()
            held = Stretch(held.entries + stretch.entries, held.hashes + stretch.hashes) if held.entries else stretch
            first, last = held.entries[0], held.entries[-1]
            end = last.batch - first.seq if last.seq < upto else len(held.entries)
            if end > 0:
                yield held.part(0, end)
                held = held.part(end)


class Page(NamedTuple):
    """Entries as the store gave them."""

    ledger: str
    after: int
    columns: Collected

    @property
    def size(self) -> int:
        """How many; of a damaged one there may be more of the one column than of the other."""
        return max(-(-len(self.columns.hashes) // HASH_BYTES), self.columns.envelopes != b"[]")

    def opened(self) -> Stretch:
        """Its entries. Raises Corrupt when that is not what follows, entry by entry."""
        try:
            entries = open_envelopes(self.columns.envelopes)
        except ValueError as error:  # msgspec's errors are ValueErrors
            raise unreadable(self.ledger, self.after, error) from error
        seqs = [entry.seq for entry in entries]
        if seqs != list(range(self.after + 1, self.after + 1 + len(seqs))):
            before, seq = next((seq - 1, found) for seq, found in enumerate(seqs, self.after + 1) if found != seq)
            raise Corrupt(f"{self.ledger!r} has a gap: entry {seq} follows {before}", ledger=self.ledger)
        if len(self.columns.hashes) != HASH_BYTES * len(seqs):
            raise unreadable(self.ledger, self.after, "a chain hash is not whole")
        return Stretch(entries, self.columns.hashes)


async def pages_behind(store: Store, ledger: str, after: int, upto: int) -> AsyncGenerator[Page]:
    """All of it, or as far as the store shows it. Raises StoreError."""
    coming = _ask(store, ledger, after, upto)
    try:
        while coming is not None:
            asked = min(PAGE_ENTRIES, upto - after)
            page, coming = Page(ledger, after, await coming), None
            if after + asked < upto:
                coming = _ask(store, ledger, after + asked, upto)
                await asyncio.sleep(0)  # it goes out before anything is done with this one
            if page.size:
                yield page
            if page.size < asked:
                return
            after += asked
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def _ask(store: Store, ledger: str, after: int, upto: int) -> asyncio.Task[Collected] | None:
    return asyncio.create_task(store.collect(ledger, after, min(PAGE_ENTRIES, upto - after))) if after < upto else None


def unreadable(ledger: str, after: int, why: object) -> Corrupt:
    """The page behind an entry holds one that makes no sense."""
    return Corrupt(f"{ledger!r} has an entry behind {after} that cannot be read: {why}", ledger=ledger)
