"""A process that serves: it listens, opens the store and reads the log, and ends when it is told to.

SIGTERM or Ctrl-C: no new requests, those under way are answered, what is being committed is committed. A second one
ends it at once; what was acknowledged is durable all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import time
from collections.abc import Callable, Iterator

import uvicorn
import uvloop
from fastapi import FastAPI

from ledger.api.application import create_app
from ledger.api.connections import Connection
from ledger.api.health import Readiness
from ledger.api.logs import Log
from ledger.errors import CannotListen, Interrupted, Locked, Unavailable
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings

KEEP_ALIVE_S = 75
"""Longer than the proxies in front of us keep theirs (60 s): who closes first shall be they, not we into a request."""

PAUSE_S = 0.5
"""Between tries to reach a store that does not answer when we start. It may be there for seconds only: who looks less
and less often misses that, and a look costs a refused connection."""


def run(ledgers: Ledgers, settings: Settings, ready: Callable[[str], None]) -> None:
    """Serve until told to end; `ready` is given the address when requests can be answered.

    Raises CannotListen, StoreError for a store that cannot be used; Interrupted when told twice.
    """
    log = Log(settings)
    log.take_over()
    with _listening(settings.host, settings.port) as listener:
        uvloop.run(_serve(ledgers, settings, log, listener, ready))


async def _serve(
    ledgers: Ledgers, settings: Settings, log: Log, listener: socket.socket, ready: Callable[[str], None]
) -> None:
    readiness = Readiness(ledgers)
    readiness.waits_for = "the store"
    app = create_app(ledgers, settings, readiness=readiness, log=log)
    server = _Server(_config(app, settings), readiness)

    async def start() -> None:
        try:
            await _open(ledgers, settings, readiness, log)
            ready(_url(listener))
        except BaseException:
            server.stop()
            raise

    starting = asyncio.create_task(start())
    await server.serve(sockets=[listener])
    if server.told_twice:
        raise Interrupted("ended before everything was answered; what was acknowledged is recorded")
    starting.cancel()
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await starting
    finally:
        await ledgers.close()


async def _open(ledgers: Ledgers, settings: Settings, readiness: Readiness, log: Log) -> None:
    """Wait for the store, however long that takes, and read what shall be there from the start."""
    began_s, told = time.monotonic(), ""
    while readiness.waits_for is not None:
        try:
            # Not `ledgers.open`, which lets go for good of a store that does not answer.
            await ledgers.store.open(create=True)
            there = set(await ledgers.names())
            for name in settings.preload:
                if name in there:
                    readiness.waits_for = f"the log of {name!r}, which is being read"
                    await ledgers.get(name)
            readiness.waits_for = None
        except (Unavailable, Locked) as error:
            readiness.waits_for = "the store, which does not answer"
            if error.code != told:
                told = error.code
                log.warning("waiting", waits_for=readiness.waits_for, code=error.code, message=error.message)
            await asyncio.sleep(PAUSE_S)
    if told:
        log.warning("waited", seconds=round(time.monotonic() - began_s, 3))
    # What is there now is no garbage; to look through it takes 0.2 s at 100,000 entries, in which nothing is answered.
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """uvicorn's, told to end by signals, without passing them on: there is still something to do then."""

    def __init__(self, config: uvicorn.Config, readiness: Readiness) -> None:
        super().__init__(config)
        self.readiness = readiness
        self.told_twice = False

    def stop(self) -> None:
        """End when all is answered; told again, at once."""
        self.told_twice = self.force_exit = self.should_exit
        self.should_exit = True
        self.readiness.stopping = True
        self.readiness.ledgers.end_watching()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        yield


def _config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Connection.limited(settings.header_timeout_s),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_max_size=settings.body_bytes_max,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=settings.drain_s,  # type: ignore[arg-type]  # parts of a second are fine
    )


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, UnicodeError) as error:
        raise CannotListen(
            f"cannot listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}; "
            "--host and --port name another place",
            host=host,
            port=port,
        ) from error
    with listener:
        yield listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
