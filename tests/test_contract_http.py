"""All laws, held by a client to services over HTTP: each process of the contract is one of its own, on one store."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ledger.client import AsyncLedgerClient
from ledger.service.expiry import LOOK_EVERY_S
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.testing import LedgerContract, ManualClock, Page
from ledger.testing.desk import Desk, StoreFactory, shared, standing
from tests.serving import serving

LAG_S_MAX = 86_400
"""What the setting takes."""

UNWRITTEN = "over HTTP a ledger that nobody has written to is not there: to read it is `no_such_ledger`"
UNHEARD = "changes begin for a client that has heard of nothing where the ledger is when it first asks"
KEYS = "a client gives each command a key of its own, which the chain covers"
OTHERWISE: dict[str, str] = {
    "test_a_revision_that_comes_while_it_is_waited_for": UNWRITTEN,
    "test_what_is_no_revision": UNWRITTEN,
    "test_what_is_no_batch": UNWRITTEN,
    "test_a_batch_and_its_command_under_one_key": UNWRITTEN,
    "test_an_atomic_import_is_one_batch": UNWRITTEN,
    "test_only_writing_creates": UNWRITTEN,
    "test_nothing_crosses_two_ledgers": UNWRITTEN,
    "test_ill_formed_commands": UNWRITTEN,
    "test_a_forged_log_is_not_restored": UNWRITTEN,
    "test_writers_and_watchers_at_once": UNWRITTEN,
    "test_a_batch_is_told_with_what_it_did": UNHEARD,
    "test_what_is_told_later_is_the_same": UNHEARD,
    "test_another_process_is_heard": UNHEARD,
    "test_the_name_is_not_covered": KEYS,
}
"""Laws whose tests take for granted what is otherwise over HTTP, and what that is."""


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
                service = serving(
                    store, clock=clock, max_lag_s=min(max_lag_s, LAG_S_MAX), reach_s=reach_s, log_level="error"
                )
                address = f"http://127.0.0.1:{(await stack.enter_async_context(service)).port}"
            client = AsyncLedgerClient(address, self.name + suffix, timeout_s=5, read_own_writes=False)
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

    async def carry(self, page: Page) -> None:
        """A service notes expiries by itself, soon after: in one of the two ledgers it may have done so already."""
        for suffix in (".finish", ".again"):
            copy = await self.copy(page, suffix)
            if await standing(copy) == await standing(page):
                return
            await asyncio.sleep(2 * LOOK_EVERY_S)
        await super().carry(page)

    async def finish(self) -> None:
        try:
            await super().finish()
        finally:
            await self._services.aclose()


assert set(OTHERWISE) <= set(dir(LedgerContract))


class TestServed(LedgerContract):
    @pytest.fixture(autouse=True)
    def only_what_is_alike(self, request: pytest.FixtureRequest) -> None:
        if (why := OTHERWISE.get(request.node.originalname)) is not None:
            pytest.skip(why)

    @pytest.fixture
    def store(self) -> StoreFactory:
        return shared(MemoryStore())

    @pytest_asyncio.fixture
    async def desk(self, store: StoreFactory) -> AsyncIterator[Desk]:
        desk = ServedDesk(store)
        yield desk
        await desk.finish()
