"""`freshness` over HTTP, of references drawn from all there are. The floor is a bare endpoint of the same framework, in
the same server, over the same connection, that parses the same requests and sends what was answered to one of them: no
checks, no log, no ledger."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import uvicorn
import uvloop
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from benchmarks import histories
from benchmarks.figures import Row, Section, cost
from benchmarks.measure import paired, seconds
from benchmarks.run import Run
from ledger.api.application import create_app
from ledger.api.freshness import FreshnessRequest
from ledger.app import open_ledgers
from ledger.service.interchange import import_lines
from ledger.settings import Settings

SECTION = Section("http", "Checks over HTTP", "entries in the log", "references")
REFERENCES = (100, 1_000)
STALE_SHARES = {"all fresh": 0.0, "a tenth stale": 0.1}
REPEATS = 200
REQUESTS = msgspec.json.Decoder(FreshnessRequest)


def measure(run: Run) -> Iterator[Row]:
    """At a ledger on SQLite."""
    size = run.scale.served
    with tempfile.TemporaryDirectory() as folder, _served(Path(folder), size) as (port, names):
        for count in REFERENCES:
            for what, share in STALE_SHARES.items():
                yield _row(port, what, size, _asked(names, count, share), run.scale.short_rounds)


def _asked(names: dict[str, list[str]], count: int, stale_share: float) -> list[list[str]]:
    chance, stale = random.Random(11), int(count * stale_share)

    def refs() -> list[str]:
        drawn = chance.sample(names["fresh"], count - stale) + chance.sample(names["stale"], stale)
        chance.shuffle(drawn)
        return drawn

    return [refs() for _ in range(REPEATS)]


def _row(port: int, what: str, size: int, asked: list[list[str]], rounds: int) -> Row:
    bodies = [json.dumps({"refs": refs}).encode() for refs in asked]
    with Connection(port) as connection:
        ours = [connection.request("/v1/ledgers/main/freshness", body) for body in bodies]
        bare = [connection.request("/bare/main", body) for body in bodies]
        connection.send(connection.request("/bare", connection.send(ours[0])))  # what it sends from now on
        pair = paired(
            lambda: seconds(lambda: [connection.send(one) for one in ours]),
            lambda: seconds(lambda: [connection.send(one) for one in bare]),
            rounds,
        )
    return cost(
        pair, REPEATS, what=f"freshness, {what}", size=size, count=len(asked[0]), beside="bare endpoint", limit=1.5
    )


class Connection:
    """One kept-alive connection, with as little around it as there can be."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @staticmethod
    def request(path: str, body: bytes) -> bytes:
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    def send(self, request: bytes) -> bytes:
        """The body of the answer, which must be a 200."""
        self._socket.sendall(request)
        came = b""
        while b"\r\n\r\n" not in came:
            came += self._received()
        head, _, first = came.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), came
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]) - len(first)
        parts = [first]
        while left > 0:
            parts.append(self._received())
            left -= len(parts[-1])
        return b"".join(parts)

    def _received(self) -> bytes:
        found = self._socket.recv(1 << 18)
        assert found, "the server closed the connection"
        return found

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@contextlib.contextmanager
def _served(folder: Path, size: int) -> Iterator[tuple[int, dict[str, list[str]]]]:
    """A process that serves both: its port, and the names of what is fresh and stale in its ledger."""
    command = [sys.executable, "-m", "benchmarks.serving", str(folder), str(size)]
    # The log is written, and read by nobody.
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            told = json.loads(server.stdout.readline())
            yield told["port"], told["names"]
        finally:
            server.terminate()


async def _serve(folder: Path, size: int) -> None:
    async with open_ledgers(f"sqlite:///{folder / 'ledger.db'}") as ledgers:
        service = await ledgers.get("main", create=True)
        await import_lines(service, histories.lines(size))
        # Every ninth of the later half: little rests on those, so that most is fresh.
        victims = service.live.index.key_names[size // 2 :: 9]
        await service.apply({"op": "batch", "commands": [{"op": "revoke", "target": name} for name in victims]})
        report = await service.check(list(service.live.index.key_names))
        names = {"fresh": report.fresh, "stale": [verdict.ref for verdict in report.withheld]}
        bare, ours = _bare(), create_app(ledgers, Settings.read(log_format="json"))

        async def both(scope: Scope, receive: Receive, send: Send) -> None:
            await (bare if scope["path"].startswith("/bare") else ours)(scope, receive, send)

        config = uvicorn.Config(both, log_config=None, access_log=False, lifespan="off", proxy_headers=False)
        listener = socket.create_server(("127.0.0.1", 0))
        print(json.dumps({"port": listener.getsockname()[1], "names": names}), flush=True)
        await uvicorn.Server(config).serve(sockets=[listener])


def _bare() -> FastAPI:
    app = FastAPI()
    app.state.answer = b""

    @app.post("/bare")
    async def answer_so(request: Request) -> None:
        app.state.answer = await request.body()

    @app.post("/bare/{ledger}")
    async def endpoint(ledger: str, request: Request) -> Response:
        REQUESTS.decode(await request.body())
        return Response(app.state.answer, media_type="application/json")

    return app


if __name__ == "__main__":
    uvloop.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
