"""All laws, held by a client to services over HTTP: each process of the contract is one of its own, on one store."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ledger.client import AsyncLedgerClient
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.testing import LedgerContract, ManualClock, Page
from ledger.testing.desk import Desk, StoreFactory
from tests.serving import serving


class ServedDesk(Desk):
    """Each `open` is a service more, and a client of it; other ledgers beside the test's own are in its first one."""

    def __init__(self, store: StoreFactory) -> None:
        super().__init__(store)
        self._clients: dict[Page, contextlib.AsyncExitStack] = {}
        self._services = contextlib.AsyncExitStack()
        self._first: str | None = None

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
        store, clock = store or await self.store(), clock or self.clock
        async with contextlib.AsyncExitStack() as stack:
            address = self._first
            if not suffix or address is None:
                service = serving(store, clock=clock, max_lag_s=max_lag_s, reach_s=reach_s, log_level="error")
                address = f"http://127.0.0.1:{(await stack.enter_async_context(service)).port}"
            client = AsyncLedgerClient(address, self.name + suffix, read_own_writes=False)
            page = Page(await stack.enter_async_context(client), clock)
            if not create:
                await page.ledger.check([])
            if self._first is None:
                self._first = address
                self._services, self._clients[page] = stack.pop_all(), contextlib.AsyncExitStack()
            else:
                self._clients[page] = stack.pop_all()
        self._open.append(page)
        return page

    async def close(self, page: Page) -> None:
        self._open.remove(page)
        await self._clients.pop(page).aclose()

    async def finish(self) -> None:
        try:
            await super().finish()
        finally:
            await self._services.aclose()


class TestServed(LedgerContract):
    @pytest.fixture
    def store(self) -> StoreFactory:
        place = MemoryStore()

        async def another() -> Store:
            return place

        return another

    @pytest_asyncio.fixture
    async def desk(self, store: StoreFactory) -> AsyncIterator[Desk]:
        desk = ServedDesk(store)
        yield desk
        await desk.finish()
