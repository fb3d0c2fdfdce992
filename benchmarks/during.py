"""Checks over HTTP while a revocation fells 100,000: how long the slowest of them takes, beside the fall itself.

The fall is what its caller sees: from sending the revocation until it is acknowledged. The service is a process of its
own, on SQLite; the checkers are 50 connections that ask again as soon as they are answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson

from benchmarks.measure import Row
from ledger import Ledger

CHECKERS = 50
REFERENCES = 10
BATCH = 10_000
BEFORE_S, BEHIND_S = 1.0, 0.3
"""How long is checked before the revocation is sent, and after it is acknowledged."""


class Answer(NamedTuple):
    """What one check was told."""

    sent_s: float
    came_s: float
    seq: int  # of its revision
    states: frozenset[str]


class Fall(NamedTuple):
    """A revocation, or what lifts it, from sending to acknowledgement, and the answers to each checker meanwhile."""

    sent_s: float
    came_s: float
    seq: int
    answers: list[list[Answer]]

    @property
    def seconds(self) -> float:
        return self.came_s - self.sent_s

    @property
    def slowest_s(self) -> float:
        """Of the answers that were waited for at any time of the fall."""
        meanwhile = (
            one for told in self.answers for one in told if one.came_s > self.sent_s and one.sent_s < self.came_s
        )
        return max(one.came_s - one.sent_s for one in meanwhile)

    def check(self, before: str, after: str) -> None:
        """Each answer is wholly of before or after, as its revision says; none goes back, none is late."""
        for told in self.answers:
            assert told[0].states == {before}
            assert told[-1].states == {after}
            for one in told:
                assert one.states == {after if one.seq >= self.seq else before}, one
                assert one.sent_s < self.came_s or one.seq >= self.seq, one
            assert [one.seq for one in told] == sorted(one.seq for one in told)


def measure(size: int, rounds: int) -> list[Row]:
    """On SQLite, with `size` dependants of what is revoked."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/ledger.db"
        with Ledger.open(store) as ledger:
            fill(ledger, size)
        falls = []
        with _served(Path(folder), store) as port:
            for _ in range(max(rounds, 3) + 1):
                falls.append(asyncio.run(watched(port, size, {"op": "revoke", "target": "root"})))
                falls[-1].check("fresh", "stale")
                asyncio.run(watched(port, size, {"op": "reinstate", "target": "root"})).check("stale", "fresh")
    by_ratio = sorted(falls[1:], key=lambda one: one.slowest_s / one.seconds)  # the first one warms up
    fall = by_ratio[len(by_ratio) // 2]
    usual = statistics.median(one.came_s - one.sent_s for told in fall.answers for one in told)
    return [
        Row(
            f"slowest of {CHECKERS} checkers while {size:,} fall (usually {usual * 1e3:,.0f} ms)",
            f"{fall.slowest_s * 1e3:,.0f} ms",
            f"fall {fall.seconds * 1e3:,.0f} ms",
            fall.slowest_s / fall.seconds,
            "at most 1",
        )
    ]


def fill(ledger: Ledger, size: int) -> None:
    """A root, and so many beliefs that rest on it."""
    ledger.record("dependency", 0, key="root")
    for start in range(0, size, BATCH):
        ledger.apply(
            {"op": "record", "kind": "belief", "key": f"b/{number}", "content": number, "because": [["root"]]}
            for number in range(start, min(start + BATCH, size))
        )


async def watched(port: int, size: int, command: dict[str, str]) -> Fall:
    """Send a command while all check, each some of what rests on the root."""
    chance, over = random.Random(size), asyncio.Event()

    async def checker(refs: list[str]) -> list[Answer]:
        told: list[Answer] = []
        body = orjson.dumps({"refs": refs})
        async with _connection(port) as ask:
            while not over.is_set():
                sent_s = time.perf_counter()
                report = orjson.loads(await ask("freshness", "application/json", body))
                came_s = time.perf_counter()
                told.append(Answer(sent_s, came_s, _seq(report), frozenset(one["state"] for one in report["verdicts"])))
        return told

    drawn = ([f"b/{chance.randrange(size)}" for _ in range(REFERENCES)] for _ in range(CHECKERS))
    checkers = [asyncio.create_task(checker(refs)) for refs in drawn]
    async with _connection(port) as ask:
        await asyncio.sleep(BEFORE_S)
        sent_s = time.perf_counter()
        result = orjson.loads(await ask("commands", "application/x-ndjson", orjson.dumps(command)))
        came_s = time.perf_counter()
        await asyncio.sleep(BEHIND_S)
    over.set()
    return Fall(sent_s, came_s, _seq(result), await asyncio.gather(*checkers))


def _seq(answer: dict[str, str]) -> int:
    return int(answer["revision"].partition("@")[2].partition(".")[0])


@contextlib.asynccontextmanager
async def _connection(port: int) -> AsyncIterator[Callable[[str, str, bytes], Awaitable[bytes]]]:
    """Ask over one kept-alive connection: the body of the answer, which must be a 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask(route: str, content_type: str, body: bytes) -> bytes:
        head = f"POST /v1/ledgers/main/{route} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {content_type}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        came = await reader.readuntil(b"\r\n\r\n")
        assert came.startswith(b"HTTP/1.1 200 "), came
        return await reader.readexactly(int(came.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))

    try:
        yield ask
    finally:
        writer.close()


@contextlib.contextmanager
def _served(folder: Path, store: str) -> Iterator[int]:
    """The service as people start it; its port."""
    command = [sys.executable, "-m", "ledger", "serve", "--port", "0"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, cwd=folder, env=os.environ | {"LEDGER_STORE": store}
        )
    with server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline().split()[-1].rpartition(b":")[2])
        finally:
            server.terminate()


if __name__ == "__main__":
    for row in measure(100_000, 5):
        print(json.dumps(row._asdict()))
