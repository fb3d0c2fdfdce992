"""Law 7 for watchers: what has expired is written to the log soon after, though nobody writes anything else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from ledger.clock import Clock
from ledger.errors import LedgerError
from ledger.service.live import Live

LOOK_EVERY_S = 0.5
"""How long after the moment a watcher may hear of it. A look takes microseconds, and asks no store."""

AFTER_TROUBLE_S = 5.0
"""How long to wait when it could not be written, as where nothing may be: no read depends on it."""


class ExpiryNotes:
    """Notes expiries of one ledger. Of several processes that do, one is first, and the others find it done."""

    def __init__(self, live: Live, clock: Clock, note: Callable[[], Awaitable[None]]) -> None:
        self.live = live
        self.clock = clock
        self.note = note
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            pause_s = LOOK_EVERY_S
            if self._is_due():
                try:
                    await self.note()
                except LedgerError:
                    pause_s = AFTER_TROUBLE_S
            await asyncio.sleep(pause_s)

    def _is_due(self) -> bool:
        with self.live.durable as index:
            index.advance(self.clock())
            return bool(index.news_of_expiry())
