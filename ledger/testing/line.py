"""The way from another process to the store: it can be cut, and what others wrote be looked for as seldom as wanted."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import Unavailable
from ledger.model.entry import Head, Sealed
from ledger.model.tag import Tag
from ledger.store.base import PAGE_ENTRIES, NodeState, Store


class Line(Store):
    """Another store, seen from a distance. With `poll_s` it is polled, as Neo4j is, whatever lies at its end."""

    def __init__(self, beneath: Store, *, poll_s: float | None = None) -> None:
        self.beneath = beneath
        self.poll_s = beneath.poll_s if poll_s is None else poll_s
        self.cut = False
        self.asked = 0

    async def open(self, *, create: bool) -> None:
        await self.beneath.open(create=create)

    async def close(self) -> None:
        await self.beneath.close()

    async def ledgers(self) -> list[str]:
        return await self._there().ledgers()

    async def head(self, ledger: str) -> Head | None:
        self.asked += 1
        return await self._there().head(ledger)

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        await self._there().append(ledger, expects, entries, states)

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        return await self._there().read(ledger, after, limit, content=content)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        return await self._there().pick(ledger, seqs, content=content)

    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        return await self._there().put_tag(ledger, tag)

    async def tags(self, ledger: str) -> list[Tag]:
        return await self._there().tags(ledger)

    def moved(self, ledger: str, seen: Head) -> bool:
        return self._there().moved(ledger, seen) if self.poll_s is None else False

    def _there(self) -> Store:
        if self.cut:
            raise Unavailable("the line is cut")
        return self.beneath
