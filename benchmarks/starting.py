"""Opening a ledger that is there, until the first check: from the log, and from a checkpoint. The files are in the
system's cache by then. The floor is the raw read of the columns that hold envelopes and hashes; the bar is of a million
entries."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from unittest import mock

from benchmarks import histories, raw
from benchmarks.figures import Bar, Row, Section, at_most
from benchmarks.measure import Pair, paired, seconds
from benchmarks.run import Run
from ledger import Ledger
from ledger.service.checkpoints import DIRECTORY, ENTRIES_MIN

SECTION = Section("open", "Cold start", "entries in the log")
FROM_LOG = 2.0
FROM_CHECKPOINT_S = 3.0
"""Of a million entries."""
A_MILLION = 1_000_000

NEO4J_ENTRIES = 100_000


def measure(run: Run) -> Iterator[Row]:
    for size in run.scale.sizes:
        yield from _sqlite(run, size)
    if run.neo4j is not None:
        yield _neo4j(run, run.neo4j, min(NEO4J_ENTRIES, run.scale.sizes[-1]))


def _sqlite(run: Run, size: int) -> Iterator[Row]:
    path = run.grown(size)

    def opened() -> float:
        return seconds(lambda: _open(f"sqlite:///{path}", "main"))

    def read() -> float:
        return seconds(lambda: raw.sqlite_columns(path))

    with mock.patch.dict(os.environ, {DIRECTORY: ""}):
        # Of a short log, what it takes to load numpy is much, and of no concern.
        yield _from_log("SQLite", size, paired(opened, read, run.scale.rounds), held=size >= A_MILLION)
    if size >= ENTRIES_MIN:
        opened()  # leaves a checkpoint, if none is there
        kept = paired(opened, read, run.scale.rounds)
        text = f"{FROM_CHECKPOINT_S:g} s a million"
        bar = Bar(text, kept.ours_s <= FROM_CHECKPOINT_S * max(size / 1_000_000, 0.1))
        yield _row("SQLite, from a checkpoint", size, kept, bar)


def _neo4j(run: Run, uri: str, size: int) -> Row:
    name = run.name()
    with Ledger.open(uri, name) as ledger:
        ledger.import_lines(histories.lines(size))
    with mock.patch.dict(os.environ, {DIRECTORY: ""}):
        pair = paired(
            lambda: seconds(lambda: _open(uri, name)),
            lambda: asyncio.run(raw.neo4j_columns(uri, name, size)),
            run.scale.rounds,
        )
    return _from_log("Neo4j", size, pair)


def _from_log(engine: str, size: int, pair: Pair, *, held: bool = True) -> Row:
    return _row(f"{engine}, from the log", size, pair, at_most(pair.ratio, FROM_LOG) if held else None)


def _row(what: str, size: int, pair: Pair, bar: Bar | None) -> Row:
    mine, floor, ratio = pair
    return Row(what=what, size=size, ours=mine, floor=floor, unit="s", beside="raw read", ratio=ratio, bar=bar)


def _open(address: str, name: str) -> None:
    with Ledger.open(address, name) as ledger:
        assert ledger.check(["docs/0"]).fresh
