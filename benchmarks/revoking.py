"""A revocation with many dependants, until the next check sees it, beside one raw commit of the same store."""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from benchmarks.measure import Row, seconds
from ledger import Ledger

LEVELS = 20
MORE_MS = {"fan": 100, "mesh": 100, "chain": 200}
"""What may come on top of a commit, in milliseconds."""


def fan(number: int, _: int, __: random.Random) -> list[list[str]]:
    """All rest on the root."""
    return [["root"]]


def chain(number: int, _: int, __: random.Random) -> list[list[str]]:
    """Each rests on the one before."""
    return [[f"@{number + 1}"]]


def mesh(number: int, size: int, chance: random.Random) -> list[list[str]]:
    """Twenty levels; each rests on two of the level before."""
    width = max(1, size // LEVELS)
    level = number // width
    if not level:
        return [["root"]]
    first = 2 + (level - 1) * width
    return [[f"@{first + chance.randrange(width)}", f"@{first + chance.randrange(width)}"]]


def measure(size: int, rounds: int) -> list[Row]:
    """On SQLite, with `size` dependants."""
    return [_measure(shape, size, rounds) for shape in (fan, mesh, chain)]


def _measure(shape: Callable[[int, int, random.Random], list[list[str]]], size: int, rounds: int) -> Row:
    last = f"b/{size - 1}"
    with tempfile.TemporaryDirectory() as folder, Ledger.open(f"sqlite:///{folder}/ledger.db") as ledger:
        ledger.import_lines(_lines(shape, size))
        commit = statistics.median(_commits(Path(folder) / "raw.db"))
        falls, rises = [], []
        for _ in range(max(rounds, 3)):
            falls.append(seconds(lambda: (ledger.revoke("root"), _expect(ledger, last, fresh=False))))
            rises.append(seconds(lambda: (ledger.reinstate("root"), _expect(ledger, last, fresh=True))))
    fall, rise = statistics.median(falls[1:]), statistics.median(rises[1:])  # the first loads what the others have
    more = MORE_MS[shape.__name__]
    return Row(
        f"revocation until it is seen, {size:,} dependants, {shape.__name__} (revival {rise * 1e3:,.0f} ms)",
        f"{fall * 1e3:,.0f} ms",
        f"commit {commit * 1e3:.1f} + {more} ms",
        fall / (commit + more / 1e3),
        "at most 1",
    )


def _lines(shape: Callable[[int, int, random.Random], list[list[str]]], size: int) -> Iterator[bytes]:
    chance = random.Random(3)
    yield orjson.dumps({"op": "record", "kind": "dependency", "key": "root", "content": 0})
    for number in range(size):
        because = shape(number, size, chance)
        yield orjson.dumps(
            {"op": "record", "kind": "belief", "key": f"b/{number}", "content": number, "because": because}
        )


def _expect(ledger: Ledger, ref: str, *, fresh: bool) -> None:
    assert bool(ledger.check([ref]).fresh) == fresh


def _commits(path: Path) -> list[float]:
    """Seconds of single commits of one small row, synced."""
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE t (x)"):
        connection.execute(statement)
    taken = [seconds(lambda: connection.execute("INSERT INTO t VALUES (1)")) for _ in range(50)]
    connection.close()
    return taken
