"""Single writes over HTTP into Neo4j. The floor is what a bare endpoint and raw commits would take in turn: if the
endpoint takes `a` of the same requests a second, and the database `b` entries a second in commits of as many as there
are writers, then one after the other they take 1/(1/a + 1/b). The bar is half of that."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import socket
import sys
import time
from collections.abc import Iterator

import uvicorn
import uvloop
from fastapi import FastAPI, Request
from neo4j import AsyncGraphDatabase, AsyncSession
from starlette.responses import Response

from benchmarks.figures import Row, Section, at_least
from benchmarks.measure import paired
from benchmarks.run import Run
from benchmarks.service import connection, process, served

SECTION = Section("write", "Single writes over HTTP", "writers at once")
WRITERS = (1, 64)
ANSWER = (
    b'{"outcome":"recorded","entry":"@1","ref":"notes/1@1","verdict":{"ref":"notes/1@1","state":"fresh","id":"@1"}}\n'
)


def measure(run: Run) -> Iterator[Row]:
    """With one writer, and with 64 at once."""
    if run.neo4j is not None:
        with process([sys.executable, "-m", "benchmarks.writing"]) as bare, served(run.neo4j) as ours:
            for writers in WRITERS:
                yield _row(run, run.neo4j, bare, ours, writers)


def _row(run: Run, uri: str, bare: int, ours: int, writers: int) -> Row:
    path = f"/v1/ledgers/{run.name()}/commands"

    def through(load_s: float) -> float:
        return asyncio.run(_requests(ours, path, writers, load_s))

    def in_turn(load_s: float) -> float:
        http = asyncio.run(_requests(bare, "/bare", writers, load_s))
        database = asyncio.run(_commits(uri, writers, load_s))
        return 1 / (1 / http + 1 / database)

    through(run.scale.warm_s)
    asyncio.run(_commits(uri, writers, run.scale.warm_s))
    load_s = run.scale.load_s
    mine, both, ratio = paired(lambda: 1 / through(load_s), lambda: 1 / in_turn(load_s), run.scale.rounds)
    return Row(
        what="into Neo4j",
        size=writers,
        ours=1 / mine,
        floor=1 / both,
        unit="/s",
        beside="in turn",
        ratio=1 / ratio,
        bar=at_least(1 / ratio, 0.5),
    )


_FORGET = "MATCH (n:RawEntry) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS"

_numbers = itertools.count(1)


def _body() -> bytes:
    number = next(_numbers)
    command = {
        "op": "record",
        "kind": "belief",
        "key": f"notes/{os.getpid()}/{number}",
        "content": {"n": number, "text": f"what was found in step {number} of the run"},
        "idempotency_key": f"bench:{os.getpid()}:{number}",
    }
    return json.dumps(command).encode()


async def _requests(port: int, path: str, writers: int, seconds: float) -> float:
    """Requests a second of so many clients, each of which waits for its answer."""
    until, done = time.perf_counter() + seconds, 0

    async def write() -> None:
        nonlocal done
        async with connection(port) as post:
            while time.perf_counter() < until:
                await post(path, "application/x-ndjson", _body())
                done += 1

    began = time.perf_counter()
    await asyncio.gather(*(write() for _ in range(writers)))
    return done / (time.perf_counter() - began)


async def _commits(uri: str, entries: int, seconds: float) -> float:
    """Entries a second in raw commits of so many nodes, with a head that is compared and set as ours is."""
    async with AsyncGraphDatabase.driver(uri) as driver, driver.session(database="neo4j") as session:
        await _prepare(session)
        began, done = time.perf_counter(), 0
        while time.perf_counter() < began + seconds:
            rows = [{"seq": done + number, "content": _body().decode()} for number in range(entries)]
            result = await session.run(
                "MATCH (l:Raw {name: 'raw'}) WHERE l.head = $head SET l.head = $next "
                "WITH l UNWIND $rows AS row CREATE (n:RawEntry) SET n = row",
                head=done,
                next=done + entries,
                rows=rows,
            )
            await result.consume()
            done += entries
        return done / (time.perf_counter() - began)


async def _prepare(session: AsyncSession) -> None:
    await (await session.run(_FORGET)).consume()
    await (await session.run("MERGE (l:Raw {name: 'raw'}) SET l.head = 0")).consume()


def _bare_app() -> FastAPI:
    """An endpoint of the same framework that takes the same bodies and does nothing."""
    app = FastAPI()

    @app.post("/bare")
    async def endpoint(request: Request) -> Response:
        json.loads(await request.body())
        return Response(ANSWER, media_type="application/x-ndjson")

    return app


async def _serve_bare() -> None:
    config = uvicorn.Config(_bare_app(), log_config=None, access_log=False, lifespan="off", proxy_headers=False)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


if __name__ == "__main__":
    uvloop.run(_serve_bare())
