"""Single records of callers who each wait for their answer before the next, through the whole library. The floor is
raw commits of as many rows as there are callers, as durable as ours."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import orjson

from benchmarks import histories
from benchmarks.figures import Row, Section
from benchmarks.measure import paired
from benchmarks.run import Place, Run
from ledger import AsyncLedger

SECTION = Section("append", "Append", "callers that wait")


def measure(run: Run) -> Iterator[Row]:
    for place in run.places():
        for callers, entries in run.scale.appended.items():
            yield _row(run, place, callers, entries)


def _row(run: Run, place: Place, callers: int, entries: int) -> Row:
    lines = list(histories.notes(entries))
    log = histories.log_of(lines)

    def ours() -> float:
        name = run.name()
        return asyncio.run(_append(place.address(name), name, lines, callers))

    mine, floor, ratio = paired(ours, lambda: place.commits(log, callers), run.scale.rounds)
    return Row(
        what=f"to {place.engine}",
        size=callers,
        ours=entries / mine,
        floor=entries / floor,
        unit="/s",
        beside="raw commits",
        ratio=1 / ratio,
    )


async def _append(address: str, name: str, lines: list[bytes], callers: int) -> float:
    """Seconds until all are answered."""
    async with AsyncLedger.open(address, name) as ledger:
        waiting = iter([orjson.loads(line) for line in lines])

        async def call() -> None:
            for command in waiting:
                await ledger.apply([command])

        began = time.perf_counter()
        await asyncio.gather(*(call() for _ in range(callers)))
        return time.perf_counter() - began
