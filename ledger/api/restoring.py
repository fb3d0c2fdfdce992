"""POST /v1/ledgers/{ledger}/restore: a verbatim log, taken in as it comes; however long, never held as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.types import Receive, Scope, Send

from ledger.api import bodies
from ledger.api.openapi import DescribedRoute, answered
from ledger.api.routes import LedgerName
from ledger.errors import TimedOut
from ledger.model.lines import Splitter
from ledger.model.view import Restored
from ledger.service.ledgers import Ledgers
from ledger.service.restoring import Restoring

PIECE_S = 30.0
"""How long a client may send nothing of the body."""


class Restore:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = await self.ledgers.get(scope["path_params"]["ledger"], create=True)
        restoring, splitter = Restoring(service), Splitter()
        async for piece in _pieces(receive):
            for line in splitter.feed(piece):
                await restoring.add(line)
        await restoring.add(splitter.rest())
        head = await restoring.finish()
        told = Restored.upto(head, service.live.revision)
        await bodies.answer(send, msgspec.json.encode(told), bodies.JSON)


def restore_route(app: Restore) -> DescribedRoute:
    def restore(ledger: LedgerName) -> None:
        """Bring the verbatim log of `export?entries=true` into a ledger that is empty or holds its beginning, verifying
        every hash."""

    return DescribedRoute(
        "/v1/ledgers/{ledger}/restore",
        app,
        restore,
        takes={"application/x-ndjson": {"type": "object"}},
        gives=answered(Restored),
    )


async def _pieces(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes. Raises ClientGone, TimedOut."""
    more = True
    while more:
        try:
            async with asyncio.timeout(PIECE_S):
                message = await receive()
        except TimeoutError as error:
            raise TimedOut(
                f"nothing more of the log came within {PIECE_S:g} s; running it again completes it"
            ) from error
        if message["type"] == "http.disconnect":
            raise bodies.ClientGone
        more = message.get("more_body", False)
        yield message.get("body", b"")
