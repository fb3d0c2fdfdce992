"""Where a test opens its ledgers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

from ledger.app import AsyncLedger
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.store.base import Store
from ledger.testing.clock import ManualClock
from ledger.testing.page import Page

StoreFactory = Callable[[], Awaitable[Store]]

HEARD_WITHIN_S = 10.0
AGES_S = (5, 15, 35, 65, 125)


def shared(store: Store) -> StoreFactory:
    """Gives one store again and again: where several services hold it, they share a place."""

    async def same() -> Store:
        return store

    return same


class Desk:
    """One place, one clock, and ledgers with names no other test uses. Each `open` is a process more."""

    def __init__(self, store: StoreFactory) -> None:
        self.store = store
        self.clock = ManualClock()
        self.name = f"contract-{uuid.uuid4().hex}"
        self._open: list[Page] = []

    async def open(
        self,
        suffix: str = "",
        *,
        store: Store | None = None,
        clock: ManualClock | None = None,
        create: bool = True,
        max_lag_s: float = MAX_LAG_S,
        reach_s: float = REACH_S,
    ) -> Page:
        """The test's ledger, or another one beside it with a suffix to its name."""
        store, clock, name = store or await self.store(), clock or self.clock, self.name + suffix
        ledger = await AsyncLedger.open(store, name, create=create, clock=clock, max_lag_s=max_lag_s, reach_s=reach_s)
        page = Page(ledger, clock)
        self._open.append(page)
        return page

    async def close(self, page: Page) -> None:
        self._open.remove(page)
        await page.ledger.close()

    async def reopen(self, page: Page) -> Page:
        """The same ledger, as a process finds it that starts now."""
        await self.close(page)
        return await self.open(page.ledger.name.removeprefix(self.name))

    async def copy(self, page: Page, suffix: str = ".copy") -> Page:
        """Another ledger made of the first one's export."""
        copied = await self.open(suffix)
        await copied.ledger.import_lines([line async for line in page.ledger.export()])
        return copied

    async def carry(self, page: Page) -> None:
        """Export and import make a ledger again."""
        copy = await self.copy(page, ".last")
        assert await standing(copy) == await standing(page)

    async def until_heard(self, page: Page, seq: int) -> None:
        """Wait until a process has heard of an entry that another wrote."""
        async with asyncio.timeout(HEARD_WITHIN_S):
            while (await page.ledger.check([f"@{seq}"])).verdicts[0].reason == "not_found":
                await asyncio.sleep(0.01)

    async def finish(self) -> None:
        """Close all. Whatever a test did, an audit finds nothing, and export and import make it again."""
        try:
            for page in list(self._open):
                report = await page.ledger.audit()
                assert report.ok, report.problems
            if self._open:
                await self.carry(self._open[0])
        finally:
            for page in list(self._open):
                await self.close(page)


async def standing(page: Page) -> list[tuple[object, ...]]:
    """All a ledger says of its entries: numbers, names, contents, verdicts at several ages, remedies."""
    entries = await page.ledger.entries(limit=100_000)
    said: list[tuple[object, ...]] = [
        (entry.id, entry.kind, entry.ref, entry.digest, entry.content, entry.verdict) for entry in entries
    ]
    for max_age_s in AGES_S:
        report = await page.ledger.check([entry.id for entry in entries], max_age_s=max_age_s)
        said += [(max_age_s, verdict) for verdict in report.verdicts]
    return said + [(one.entry.ref, one.needed, one.causes) for one in await page.ledger.remediation()]
