"""A connection may wait for the head of a request, but not for ever: uvicorn waits as long as nobody hangs up."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Connection(HttpToolsProtocol):
    """uvicorn's, closed when a head is not whole in time. Between two requests its `timeout_keep_alive` counts."""

    header_timeout_s: ClassVar[float]
    _due: asyncio.TimerHandle | None = None

    @classmethod
    def limited(cls, header_timeout_s: float) -> type[Connection]:
        """The class that a server is given; it makes the objects itself."""
        return type(cls.__name__, (cls,), {"header_timeout_s": header_timeout_s})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # One that has become a websocket is none of ours any more.
        if self in self.connections and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """From the first byte on; a head that comes in drops has no more time."""
        if self._due is None:
            self._due = self.loop.call_later(self.header_timeout_s, self.transport.close)

    def _wait_no_more(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
