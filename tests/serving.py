"""A service for tests: in this process behind a real server on a loopback port, or as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import uvicorn

from ledger.api.application import create_app
from ledger.api.connections import SEND_S, Connection
from ledger.api.health import Readiness
from ledger.api.logs import Log
from ledger.clock import Clock, system_clock
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings
from ledger.store.address import open_store
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from tests.terminal import Terminal

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
WITHIN_S = 20.0


class Service:
    """What a test needs of a service: a client, the ledgers behind it, and what it logs."""

    def __init__(
        self, ledgers: Ledgers, server: uvicorn.Server, port: int, client: httpx.AsyncClient, log: io.BytesIO
    ) -> None:
        self.ledgers = ledgers
        self.server = server
        self.app: Any = server.config.app
        self.port = port
        self.client = client
        self.log = log

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def check(self, *refs: str, ledger: str = "main", **asked: Any) -> httpx.Response:
        return await self.client.post(f"/v1/ledgers/{ledger}/freshness", json={"refs": refs, **asked})

    async def write(self, *commands: dict[str, Any], ledger: str = "main", **parameters: Any) -> httpx.Response:
        body = "".join(json.dumps(command) + "\n" for command in commands)
        return await self.client.post(f"/v1/ledgers/{ledger}/commands", content=body, headers=LINES, params=parameters)

    async def metrics(self) -> dict[str, float]:
        """Every sample by its name and labels, as Prometheus would read them."""
        lines = (await self.client.get("/metrics")).text.splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def raw(self, request: bytes, *, end: bool = False) -> bytes:
        """What comes back to these bytes, until the server closes or has answered; `end`: we close our side first."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            if end:
                writer.write_eof()
            async with asyncio.timeout(WITHIN_S):
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                return head + await reader.readexactly(length)
        finally:
            writer.close()


@contextlib.asynccontextmanager
async def serving(
    store: Store | str | None = None,
    *,
    clock: Clock = system_clock,
    readiness: Readiness | None = None,
    telemetry: Any = None,
    send_s: float = SEND_S,
    **settings: Any,
) -> AsyncIterator[Service]:
    """A service on a free port, in this event loop."""
    told = Settings.read(log_format="json", **settings)
    log = io.BytesIO()
    place = open_store(store) if isinstance(store, str) else store or MemoryStore()
    ledgers = Ledgers(place, clock, max_lag_s=told.max_lag_s, reach_s=told.reach_s, limits=told.writing)
    async with ledgers:
        app = create_app(ledgers, told, readiness=readiness, log=Log(told, log), telemetry=telemetry)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as uvloop does; 40 ms an answer otherwise
            port = listener.getsockname()[1]
            http = Connection.limited(told.header_timeout_s, send_s)
            config = uvicorn.Config(
                app, http=http, log_config=None, access_log=False, proxy_headers=False, lifespan="off"
            )
            server = _Server(config)
            task = asyncio.create_task(server.serve(sockets=[listener]))
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S) as client:
                yield Service(ledgers, server, port, client, log)
            server.should_exit = True
            await task


@contextlib.contextmanager
def hosted(store: Store | str | None = None, **given: Any) -> Iterator[Service]:
    """The same in a thread of its own, for tests without an event loop."""
    served = serving(store, **given)
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(served) as service,
    ):
        yield service


class _Server(uvicorn.Server):
    def capture_signals(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()  # signals are for the tests


class SlowStore(MemoryStore):
    """A store that takes nothing before it is told to `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = asyncio.Event(), asyncio.Event()

    async def append(self, *given: Any, **more: Any) -> None:
        self.asked.set()
        await self.go.wait()
        await super().append(*given, **more)


def eventually(holds: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Ask until it is so."""
    until_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < until_s, "it never came to that"
        time.sleep(0.1)


class Process:
    """`ledger serve` as a process of its own, on a free port."""

    def __init__(self, terminal: Terminal, *args: str, **settings: str) -> None:
        self.terminal = terminal
        self.errors = terminal.folder / "serve.err"
        with self.errors.open("ab") as errors:
            self.process = terminal.start("serve", "--port", "0", *args, stderr=errors, settings=settings)

    def ready(self) -> str:
        """Wait for the line it says when it is ready; where it answers."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert line.startswith("serving "), (line, self.errors.read_text())
        return line.split()[-1]

    def end(self, number: int) -> int:
        """Send a signal, and wait for the end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=WITHIN_S)


@contextlib.contextmanager
def process(folder: Path, *args: str, **settings: str) -> Iterator[Process]:
    started = Process(Terminal(folder), *args, **settings)
    with started.process:
        try:
            yield started
        finally:
            if started.process.poll() is None:
                started.process.kill()
