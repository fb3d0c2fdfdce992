"""A service whose Neo4j is gone for a while, or slow: nothing stale is called fresh, nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from neo4j_server import Neo4jServer

from ledger import Ledger
from ledger.settings import Settings
from tests.serving import WITHIN_S, eventually, process

DEFAULTS = Settings.model_fields
MAX_LAG_S = DEFAULTS["max_lag_s"].default
BEHIND = ("unknown", "behind")
COMES_BACK_WITHIN_S = 60.0
DELAY_S = 0.15

pytestmark = [pytest.mark.neo4j, pytest.mark.timeout(600)]


def record(key: str) -> dict[str, Any]:
    return {"op": "record", "kind": "dependency", "key": key, "content": key, "idempotency_key": key}


class Client:
    """One who asks a service, and is patient."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/v1/ledgers/main", timeout=60)

    def check(self, ref: str, **asked: Any) -> tuple[str, str | None]:
        answer = self.http.post("/freshness", json={"refs": [ref], **asked})
        answer.raise_for_status()
        (verdict,) = answer.json()["verdicts"]
        return verdict["state"], verdict.get("reason")

    def write(self, command: dict[str, Any]) -> httpx.Response:
        return self.http.post("/commands", json=command)


def test_a_database_that_is_gone_for_a_while(tmp_path: Path) -> None:
    """
    gone for less than max_lag   -> what was known is answered
    for longer                   -> everything is `behind`, nothing fresh; a write is refused as unavailable, in time
    back                         -> fresh again by itself; the write that was refused can be sent again
    """
    with (
        Neo4jServer() as server,
        process(tmp_path, "--store", server.uri) as service,
        ThreadPoolExecutor() as pool,
    ):
        url = service.ready()
        client = Client(url)
        assert client.write(record("a")).status_code == 200
        assert client.check("a") == ("fresh", None)
        server.kill()
        gone_s = time.monotonic()
        writing = pool.submit(refused, client, record("b"))
        assert client.check("a") == ("fresh", None)
        while not writing.done():
            sent_s = time.monotonic()
            told = client.check("a")
            assert told == BEHIND or (told == ("fresh", None) and sent_s - gone_s < MAX_LAG_S), sent_s - gone_s
            time.sleep(0.05)
        assert writing.result() == (503, "unavailable")
        assert MAX_LAG_S < time.monotonic() - gone_s < DEFAULTS["request_timeout_s"].default
        assert client.check("a") == BEHIND
        status = client.http.get("/status")
        assert (status.status_code, status.json()["code"]) == (503, "behind")
        assert httpx.get(f"{url}/readyz").status_code == 503
        assert httpx.get(f"{url}/healthz").status_code == 200
        server.restart()
        eventually(lambda: client.check("a") == ("fresh", None), COMES_BACK_WITHIN_S)
        eventually(lambda: httpx.get(f"{url}/readyz").status_code == 200, COMES_BACK_WITHIN_S)
        assert client.write(record("b")).status_code == 200
        assert 0 < client.http.get("/status").json()["lag_s"] < MAX_LAG_S
        assert service.end(signal.SIGTERM) == 0
        with Ledger.open(server.uri, create=False) as ledger:
            assert [entry.key for entry in ledger.entries()] == ["a", "b"]
            assert ledger.audit().ok


def refused(client: Client, command: dict[str, Any]) -> tuple[int, str]:
    answer = client.write(command)
    return answer.status_code, answer.json()["code"]


def test_a_slow_database(neo4j_server: Neo4jServer, ledger_name: str, tmp_path: Path) -> None:
    """Writes wait for it, checks do not; a revocation is seen in another process by its token, or within max_lag."""
    with slowed(neo4j_server) as uri, process(tmp_path, "--store", uri) as slow:
        url = slow.ready()
        client = Client(url)
        client.http.base_url = httpx.URL(f"{url}/v1/ledgers/{ledger_name}")
        began_s = time.monotonic()
        assert client.write(record("a")).status_code == 200
        assert time.monotonic() - began_s > DELAY_S, "the database was not slow"
        times = []
        for _ in range(20):
            began_s = time.monotonic()
            assert client.check("a") == ("fresh", None)
            times.append(time.monotonic() - began_s)
        assert sorted(times)[10] < DELAY_S / 2, "a check waited for the database"
        with Ledger.open(neo4j_server.uri, ledger_name) as other:
            revoked = other.revoke("a")
        assert client.check("a", at_least=revoked.revision) == ("stale", "revoked")
        assert slow.end(signal.SIGTERM) == 0


@contextlib.contextmanager
def slowed(server: Neo4jServer) -> Iterator[str]:
    """The address of a proxy in front of a server, through which everything takes a while."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    host, _, port = server.uri.rpartition("/")[2].rpartition(":")

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while part := await source.read(1 << 16):
                await asyncio.sleep(DELAY_S)
                sink.write(part)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, to_there), pump(there, writer))

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, "127.0.0.1", 0)

    async def end(proxy: asyncio.Server) -> None:
        proxy.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    proxy = asyncio.run_coroutine_threadsafe(start(), loop).result(WITHIN_S)
    try:
        yield f"bolt://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(end(proxy), loop).result(WITHIN_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
