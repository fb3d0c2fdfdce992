"""Checks over HTTP while a revocation fells all that rests on one: 50 connections ask a service on SQLite for ten
references each, and again as soon as they are answered. Each answer is held to what may be told then. The floor is the
fall as its caller sees it, from sending the revocation until it is acknowledged."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from typing import NamedTuple

import orjson

from benchmarks.figures import Row, Section, at_most
from benchmarks.run import Run
from benchmarks.service import connection, served
from ledger import Ledger

SECTION = Section("during", "Checks while many fall", "dependants")
CHECKERS = 50
REFERENCES = 10
BATCH = 10_000
_FRESHNESS, _COMMANDS = "/v1/ledgers/main/freshness", "/v1/ledgers/main/commands"
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


def measure(run: Run) -> Iterator[Row]:
    size, falls = run.scale.dependants[-1], []
    store = f"sqlite:///{run.folder}/{run.name()}.db"
    with Ledger.open(store) as ledger:
        fill(ledger, size)
    with served(store) as port:
        for _ in range(run.scale.rounds + 1):
            falls.append(asyncio.run(watched(port, size, {"op": "revoke", "target": "root"})))
            falls[-1].check("fresh", "stale")
            asyncio.run(watched(port, size, {"op": "reinstate", "target": "root"})).check("stale", "fresh")
    by_ratio = sorted(falls[1:], key=lambda one: one.slowest_s / one.seconds)  # the first one warms up
    fall = by_ratio[len(by_ratio) // 2]
    ratio = fall.slowest_s / fall.seconds
    yield Row(
        what=f"slowest of {CHECKERS} checkers",
        size=size,
        ours=fall.slowest_s,
        floor=fall.seconds,
        unit="s",
        beside="the fall",
        ratio=ratio,
        bar=at_most(ratio, 1),
    )
    usual_s = statistics.median(one.came_s - one.sent_s for told in fall.answers for one in told)
    yield Row(
        what=f"median of {CHECKERS} checkers",
        size=size,
        ours=usual_s,
        floor=fall.seconds,
        unit="s",
        beside="the fall",
        ratio=usual_s / fall.seconds,
    )


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
        async with connection(port) as post:
            while not over.is_set():
                sent_s = time.perf_counter()
                report = orjson.loads(await post(_FRESHNESS, "application/json", body))
                came_s = time.perf_counter()
                told.append(Answer(sent_s, came_s, _seq(report), frozenset(one["state"] for one in report["verdicts"])))
        return told

    drawn = ([f"b/{chance.randrange(size)}" for _ in range(REFERENCES)] for _ in range(CHECKERS))
    checkers = [asyncio.create_task(checker(refs)) for refs in drawn]
    async with connection(port) as post:
        await asyncio.sleep(BEFORE_S)
        sent_s = time.perf_counter()
        result = orjson.loads(await post(_COMMANDS, "application/x-ndjson", orjson.dumps(command)))
        came_s = time.perf_counter()
        await asyncio.sleep(BEHIND_S)
    over.set()
    return Fall(sent_s, came_s, _seq(result), await asyncio.gather(*checkers))


def _seq(answer: dict[str, str]) -> int:
    return int(answer["revision"].partition("@")[2].partition(".")[0])
