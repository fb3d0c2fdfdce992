"""A line to a client who may stop listening: what he does not take in time ends it, and nothing waits for him."""

from __future__ import annotations

import asyncio
import logging

from starlette.types import Message, Receive, Send
from starlette.websockets import WebSocketDisconnect

logger = logging.getLogger(__name__)

TRY_AGAIN_LATER = 1013


class Line:
    """`send` and `receive` of a connection. The server's own buffer is bounded: when it is full, `send` waits for the
    client, `seconds` at most; after that he is gone, as if he had closed the connection.
    """

    def __init__(self, receive: Receive, send: Send, seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._seconds = seconds
        self._gone = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Raises WebSocketDisconnect when the client is gone."""
        if not self._gone.is_set():
            try:
                async with asyncio.timeout(self._seconds):
                    await self._send(message)
                return
            except TimeoutError:
                self._gone.set()
                logger.warning("dropped a client who took nothing for %g s", self._seconds)
        raise WebSocketDisconnect(TRY_AGAIN_LATER, "too slow")

    async def receive(self) -> Message:
        """The next message; the end of the connection when the client is gone."""
        message = asyncio.ensure_future(self._receive())
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({message, gone}, return_when=asyncio.FIRST_COMPLETED)
            return message.result() if message.done() else {"type": "websocket.disconnect", "code": TRY_AGAIN_LATER}
        finally:
            message.cancel()
            gone.cancel()
