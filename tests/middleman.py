"""A line between a client and a service that is not always whole: real sockets, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

WITHIN_S = 20.0

REQUEST_LINE = re.compile(rb"(?:GET|POST) \S+ HTTP/1\.1(?=\r\n)")


class Middleman:
    """Passes on what comes, to `port`. What is set here concerns what comes from then on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.own_port = 0
        self.requests: list[bytes] = []
        """The first line of each request that came."""
        self.answers_to_drop = 0
        """So many answers are cut off before their first byte: what was asked is done, and nobody hears of it."""
        self.requests_to_drop = 0
        """So many requests are cut off before the service hears of them."""
        self.bytes_until_cut: int | None = None
        """So much of the answers goes through, and then nothing more."""
        self._lines: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.own_port}"

    def cut(self) -> None:
        """End every connection there is."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: [line.transport.abort() for line in list(self._lines)])

    async def serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            service, to_service = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            to_client.transport.abort()
            return
        lines = {to_client, to_service}
        self._lines |= lines
        both = asyncio.gather(self._out(client, to_service, lines), self._back(service, to_client, lines))
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await both
        finally:
            self._lines -= lines
            _abort(lines)

    async def _out(self, client: asyncio.StreamReader, to_service: asyncio.StreamWriter, lines: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await client.read(1 << 16):
                # One may come behind the body of the one before, which was answered without being read.
                if requests := REQUEST_LINE.findall(part):
                    self.requests += requests
                    if self.requests_to_drop:
                        self.requests_to_drop -= 1
                        break
                to_service.write(part)
                await to_service.drain()
        _abort(lines)

    async def _back(self, service: asyncio.StreamReader, to_client: asyncio.StreamWriter, lines: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await service.read(1 << 16):
                if self.answers_to_drop and part.startswith(b"HTTP/"):
                    self.answers_to_drop -= 1
                    break
                if self.bytes_until_cut is not None:
                    part = part[: self.bytes_until_cut]
                    self.bytes_until_cut -= len(part)
                to_client.write(part)
                await to_client.drain()
                if self.bytes_until_cut == 0:
                    break
        _abort(lines)


def _abort(lines: set[asyncio.StreamWriter]) -> None:
    for line in lines:
        line.close()


@contextlib.contextmanager
def middleman(port: int) -> Iterator[Middleman]:
    """One that listens on a port of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, loop).result(WITHIN_S)

    man = Middleman(port)
    man._loop = loop
    server = run(asyncio.start_server(man.serve, "127.0.0.1", 0))
    man.own_port = server.sockets[0].getsockname()[1]
    try:
        yield man
    finally:
        run(_end(server))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _end(server: asyncio.Server) -> None:
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
