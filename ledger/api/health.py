"""Whether the process lives, whether it can answer, and if not, what it waits for."""

from __future__ import annotations

import asyncio

from ledger.errors import LedgerError, Locked, Starting, Unavailable
from ledger.service.ledgers import Ledgers

ANSWER_S = 2.0
"""How long a store may take to say that it is there. Who asks for readiness usually waits a few seconds in all."""


class Readiness:
    """What the service waits for; the one who starts and stops it says so here."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers
        self.waits_for: str | None = None
        self.stopping = False

    def error(self) -> Starting:
        return Starting(f"the service is starting: it waits for {self.waits_for}", waits_for=self.waits_for)

    async def look(self) -> str | None:
        """What is missing; None if requests can be answered."""
        if self.stopping:
            return "its end: the service is stopping"
        if self.waits_for is not None:
            return self.waits_for
        try:
            async with asyncio.timeout(ANSWER_S):
                await self.ledgers.names()
        except (TimeoutError, Unavailable, Locked):
            return "the store, which does not answer"
        except LedgerError as error:
            return f"the store, which refuses ({error.code})"
        return None
