"""The service as people start it, and a connection to it with as little around it as there can be."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

Post = Callable[[str, str, bytes], Awaitable[bytes]]
"""Sends a body of a content type to a path: the body of the answer, which must be a 200."""


@contextlib.contextmanager
def served(store: str) -> Iterator[int]:
    """A service on a store; its port."""
    with process([sys.executable, "-m", "ledger", "serve", "--store", store, "--port", "0"]) as port:
        yield port


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[int]:
    """A process that says where it listens in its first line; the port, which is the end of that."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().split()[-1].rpartition(b":")[2])
        finally:
            server.terminate()


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[Post]:
    """Ask over one kept-alive connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def post(path: str, content_type: str, body: bytes) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        came = await reader.readuntil(b"\r\n\r\n")
        assert came.startswith(b"HTTP/1.1 200 "), came
        return await reader.readexactly(int(came.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))

    try:
        yield post
    finally:
        writer.close()
