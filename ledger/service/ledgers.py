"""The ledgers of one store in one process: each opened when first asked for and kept open, all on the same store."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from ledger.clock import Clock, system_clock
from ledger.model.reference import check_ledger
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.service.pacing import UNLIMITED, WriteLimits
from ledger.service.service import LedgerService, require_ledger
from ledger.store.base import Store

UNWRITTEN_MAX = 64
"""Ledgers kept open that nobody has written to yet. Whoever invents names would fill the memory with them, and on Neo4j
each asks the server twice a second."""


class Ledgers:
    """Services by the name of their ledger. `open` before use, `close` after, or as an async context manager.

    All callers of one process share a service, so that what one writes every other sees at once (law 9). A ledger of
    which nothing was heard for `max_lag_s` seconds calls nothing fresh; `reach_s` is how long a read waits for a
    revision it names; `limits` are those of the writes to each ledger.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock = system_clock,
        max_lag_s: float = MAX_LAG_S,
        reach_s: float = REACH_S,
        limits: WriteLimits = UNLIMITED,
    ) -> None:
        self.store = store
        self.clock = clock
        self.max_lag_s = max_lag_s
        self.reach_s = reach_s
        self.limits = limits
        self._services: dict[str, LedgerService] = {}
        self._opening: dict[str, asyncio.Task[LedgerService]] = {}

    async def open(self) -> None:
        """Connect to the store; an empty place is made ready. Raises StoreError."""
        try:
            await self.store.open(create=True)
        except BaseException:
            await self.store.close()
            raise

    async def close(self) -> None:
        """Answer what waits, and let go of the store."""
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        services, self._services = list(self._services.values()), {}
        try:
            await asyncio.gather(*(service.close() for service in services))
        finally:
            await self.store.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def opened(self) -> list[LedgerService]:
        """Those that are open here."""
        return list(self._services.values())

    def end_watching(self) -> None:
        """Tell those who watch changes that they must go on elsewhere: this process is about to end."""
        for service in self._services.values():
            service.feed.close()

    async def names(self) -> list[str]:
        """The ledgers there are, sorted."""
        return await self.store.ledgers()

    async def get(self, name: str, *, create: bool = False) -> LedgerService:
        """The service of a ledger, at once if it is open.

        Raises Malformed for what is no name, StoreError; NoSuchLedger, with the names there are, for a ledger nobody
        has written to, unless `create`: then the first write makes it. Use what you got now, and ask again for the
        next request: a ledger that stays unwritten is closed when too many others are opened.
        """
        service = self._services.get(name)
        if not create and (service is None or not service.live.head.seq):
            await require_ledger(self.store, check_ledger(name))
            # Another may have opened it meanwhile. Two services would hear of each other's writes too late for law 9.
            service = self._services.get(name)
        return service or await self._opened(name)

    async def _opened(self, name: str) -> LedgerService:
        """Whoever asks meanwhile waits for the same opening, and who stops waiting does not undo it."""
        opening = self._opening.get(name)
        if opening is None:
            opening = self._opening[name] = asyncio.create_task(self._open_one(name))
            opening.add_done_callback(lambda _: self._opening.pop(name))
        return await asyncio.shield(opening)

    async def _open_one(self, name: str) -> LedgerService:
        service = LedgerService(
            self.store,
            name,
            self.clock,
            max_lag_s=self.max_lag_s,
            reach_s=self.reach_s,
            note_expiries=True,
            limits=self.limits,
        )
        try:
            await service.open()
        except BaseException:
            await service.close()
            raise
        self._services[name] = service
        await self._close_unwritten()
        return service

    async def _close_unwritten(self) -> None:
        """Keep the newest of those that nobody has written to."""
        unwritten = [one for one in self._services.values() if not one.live.head.seq]
        for service in unwritten[:-UNWRITTEN_MAX]:
            await service.drain()
            # From here to the mark that `close` sets nothing waits: what is written now finds the ledger closed.
            if not service.live.head.seq and service.name in self._services:
                del self._services[service.name]
                await service.close()
