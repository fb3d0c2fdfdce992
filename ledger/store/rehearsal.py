"""A dry run: another store, with what is written kept in memory. Nothing reaches the store beneath."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ledger.errors import HeadMoved, NoSuchLedger
from ledger.model.entry import EMPTY, Head, Revocation, Sealed, head_after
from ledger.model.tag import Tag
from ledger.store.base import PAGE_ENTRIES, Collected, NodeState, Store, one_page


class Rehearsal(Store):
    """On top of it everything is judged as it would be. After the first write, no others' writes are heard of."""

    def __init__(self, beneath: Store) -> None:
        self.beneath = beneath
        self.poll_s, self.is_server = beneath.poll_s, beneath.is_server
        self._from: dict[str, Head] = {}
        self._added: dict[str, list[Sealed]] = {}
        self._erased: dict[str, set[int]] = {}
        self._tags: dict[str, dict[str, Tag]] = {}

    async def open(self, *, create: bool) -> None:
        await self.beneath.open(create=False)

    async def close(self) -> None:
        await self.beneath.close()

    async def ledgers(self) -> list[str]:
        return sorted({*await self.beneath.ledgers(), *self._added})

    async def head(self, ledger: str) -> Head | None:
        return self._head(ledger) if ledger in self._added else await self.beneath.head(ledger)

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        head = await self.head(ledger) or EMPTY
        if head != expects:
            raise HeadMoved(f"{ledger!r} is at {head.seq}, not at {expects.seq}")
        self._from.setdefault(ledger, head)
        self._added.setdefault(ledger, []).extend(entries)
        erased = self._erased.setdefault(ledger, set())
        for sealed in entries:
            if isinstance(sealed.entry, Revocation):
                erased.update(sealed.entry.erases)

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        if ledger not in self._added:
            return await self.beneath.read(ledger, after, limit, content=content)
        real = self._from[ledger].seq
        found: list[Sealed] = []
        if after < real:
            found = await self.beneath.read(ledger, after, min(limit, real - after), content=content)
        if after + len(found) >= real:  # where large contents end a page early, what was added does not follow
            start = max(after - real, 0)
            found += self._added[ledger][start : start + limit - len(found)]
        return list(one_page(self._shown(ledger, found, content)))

    async def collect(self, ledger: str, after: int, limit: int = PAGE_ENTRIES) -> Collected:
        if ledger not in self._added:
            return await self.beneath.collect(ledger, after, limit)
        return await super().collect(ledger, after, limit)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        if ledger not in self._added:
            return await self.beneath.pick(ledger, seqs, content=content)
        real, added = self._from[ledger].seq, self._added[ledger]
        below = await self.beneath.pick(ledger, [seq for seq in seqs if seq <= real], content=content)
        known = {sealed.entry.seq: sealed for sealed in [*below, *added]}
        return self._shown(ledger, [known[seq] for seq in seqs if seq in known], content)

    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        if await self.head(ledger) is None:
            raise NoSuchLedger(f"there is no ledger {ledger!r}", ledger=ledger)
        taken = {one.name: one for one in await self.tags(ledger)}.get(tag.name)
        if taken is None:
            self._tags.setdefault(ledger, {})[tag.name] = tag
        return taken

    async def tags(self, ledger: str) -> list[Tag]:
        return sorted([*await self.beneath.tags(ledger), *self._tags.get(ledger, {}).values()])

    def moved(self, ledger: str, seen: Head) -> bool:
        return self._head(ledger) != seen if ledger in self._added else self.beneath.moved(ledger, seen)

    def _head(self, ledger: str) -> Head:
        return head_after(self._added[ledger][-1])

    def _shown(self, ledger: str, entries: list[Sealed], content: bool) -> list[Sealed]:
        hidden = self._erased[ledger]
        return [one if content and one.entry.seq not in hidden else replace(one, content=None) for one in entries]
