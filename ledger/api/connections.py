"""A connection may wait for the head of a request, and for its client to take an answer, but not for ever: uvicorn
waits as long as nobody hangs up."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

logger = logging.getLogger(__name__)

SEND_S = 30.0
"""How long a client may take next to nothing of an answer."""

TAKEN_BYTES = 64 << 10
"""What he takes at least in that time, or all that is left: who takes a byte now and then holds it all as well."""

UNSENT_BYTES = 32 << 10
"""So much of an answer the system takes before it is on its way: with megabytes it would hide what a client takes."""


class Connection(HttpToolsProtocol):
    """uvicorn's, closed when a head is not whole in time, and when an answer is not taken. Between two requests its
    `timeout_keep_alive` counts.

    An answer that was sent lies in the buffer of the transport, where no limit of a request reaches it; and to close a
    transport is to wait until its buffer is empty.
    """

    header_timeout_s: ClassVar[float]
    send_s: ClassVar[float]
    _due: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None
    _lost = False

    @classmethod
    def limited(cls, header_timeout_s: float, send_s: float = SEND_S) -> type[Connection]:
        """The class that a server is given; it makes the objects itself."""
        return type(cls.__name__, (cls,), {"header_timeout_s": header_timeout_s, "send_s": send_s})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            unsent = socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES
            transport.get_extra_info("socket").setsockopt(*unsent)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # One that has become a websocket is none of ours any more.
        if self in self.connections and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._watch()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._watch_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self._watch_no_more()
        self._lost = True  # uvicorn's own timer may still ring
        super().connection_lost(exc)

    def _wait(self) -> None:
        """From the first byte on; a head that comes in drops has no more time."""
        if self._due is None:
            self._due = self.loop.call_later(self.header_timeout_s, self._close)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _close(self) -> None:
        self.transport.close()
        self._watch()

    def _watch(self) -> None:
        """While the buffer is full or the end waits for it. Nothing more is written then: what is left shrinks."""
        if self._untaken is None and not self._lost:
            left = self.transport.get_write_buffer_size()
            self._untaken = self.loop.call_later(self.send_s, self._look, left)

    def _watch_no_more(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _look(self, before: int) -> None:
        self._untaken = None
        if before - self.transport.get_write_buffer_size() < TAKEN_BYTES:
            logger.warning("dropped a client who did not take his answer for %g s", self.send_s)
            self.transport.abort()
        else:
            self._watch()
