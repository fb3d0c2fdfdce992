"""The log as it is read on: a page at a time, of which the next is on its way while one is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple

from ledger.errors import Corrupt
from ledger.garbage import uncollected
from ledger.model.entry import HASH_BYTES, MARK_BYTES, Entry, open_envelopes
from ledger.store.base import PAGE_ENTRIES, Collected, Store


class Stretch(NamedTuple):
    """Entries that follow each other, and their chain hashes one behind the other."""

    entries: list[Entry]
    hashes: bytes

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


async def stretches_behind(
    store: Store, ledger: str, after: int, upto: int, *, whole: bool = True
) -> AsyncGenerator[Stretch]:
    """The log behind one end of a batch up to another; `whole`: none of the stretches ends within a batch.

    So that nobody sees half of one (law 10). Raises Corrupt, StoreError.
    """
    held = Stretch([], b"")
    async with aclosing(_pages(store, ledger, after, upto)) as pages:
        async for page in pages:
            held = Stretch(held.entries + page.entries, held.hashes + page.hashes) if held.entries else page
            first, last = held.entries[0], held.entries[-1]
            end = last.batch - first.seq if whole and last.seq < upto else len(held.entries)
            if end > 0:
                yield held.part(0, end)
                held = held.part(end)


async def _pages(store: Store, ledger: str, after: int, upto: int) -> AsyncGenerator[Stretch]:
    """All of it, or as far as the store shows it."""
    coming = _ask(store, ledger, after, upto)
    try:
        while coming is not None:
            asked = min(PAGE_ENTRIES, upto - after)
            page, coming = await coming, None
            if after + asked < upto:
                coming = _ask(store, ledger, after + asked, upto)
                await asyncio.sleep(0)  # it goes out before anything is done with this one
            stretch = _opened(ledger, after, page)
            if stretch.entries:
                yield stretch
            if len(stretch.entries) < asked:
                return
            after += asked
    finally:
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


def _ask(store: Store, ledger: str, after: int, upto: int) -> asyncio.Task[Collected] | None:
    return asyncio.create_task(store.collect(ledger, after, min(PAGE_ENTRIES, upto - after))) if after < upto else None


def _opened(ledger: str, after: int, page: Collected) -> Stretch:
    """The entries of a page. Raises Corrupt when that is not what follows, entry by entry."""
    try:
        with uncollected():
            entries = open_envelopes(page.envelopes)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise unreadable(ledger, after, error) from error
    seqs = [entry.seq for entry in entries]
    if seqs != list(range(after + 1, after + 1 + len(seqs))):
        before, seq = next((seq - 1, found) for seq, found in enumerate(seqs, after + 1) if found != seq)
        raise Corrupt(f"{ledger!r} has a gap: entry {seq} follows {before}", ledger=ledger)
    if len(page.hashes) != HASH_BYTES * len(seqs):
        raise unreadable(ledger, after, "a chain hash is not whole")
    return Stretch(entries, page.hashes)


def unreadable(ledger: str, after: int, why: object) -> Corrupt:
    """The page behind an entry holds one that makes no sense."""
    return Corrupt(f"{ledger!r} has an entry behind {after} that cannot be read: {why}", ledger=ledger)
