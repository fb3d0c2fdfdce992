"""Import through the whole library beside writing the very same rows and edges as fast as the engine takes them."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import tempfile
from pathlib import Path

from benchmarks import histories
from benchmarks.measure import Row, paired, seconds
from ledger import Ledger
from ledger.model.entry import Sealed
from ledger.store import sqlite as engine

BATCH = 1_000


def sqlite(entries: int, rounds: int) -> list[Row]:
    """Beside raw `executemany` into the same tables, a thousand entries a transaction."""
    lines = list(histories.lines(entries))
    with tempfile.TemporaryDirectory() as folder:
        numbers = itertools.count()
        sealed = _sealed_of(lines)
        rows = [(1, *engine._row(one)) for one in sealed]
        edges = [[(1, *edge) for edge in engine._edges([one])] for one in sealed]

        def ours() -> float:
            with Ledger.open(f"sqlite:///{folder}/{next(numbers)}.db") as ledger:
                return seconds(lambda: ledger.import_lines(lines))

        def raw() -> float:
            return seconds(lambda: _raw_sqlite(Path(folder) / f"{next(numbers)}.db", rows, edges))

        mine, floor, ratio = paired(ours, raw, rounds)
    return [_row("import into SQLite", entries, mine, floor, ratio, "executemany", "at least 0.25")]


def _raw_sqlite(path: Path, rows: list[tuple[object, ...]], edges: list[list[tuple[object, ...]]]) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {statement}")
    for statement in ";".join(engine._MIGRATIONS).split(";"):
        connection.execute(statement)
    for start in range(0, len(rows), BATCH):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"{engine._INSERT} VALUES ({', '.join('?' * 11)})", rows[start : start + BATCH])
        connection.executemany(
            f"{engine._INSERT_EDGE} VALUES (?, ?, ?, ?, ?)", itertools.chain(*edges[start : start + BATCH])
        )
        connection.execute("COMMIT")
    connection.close()


def neo4j(entries: int, rounds: int) -> list[Row]:
    """Beside the same nodes and relationships by `UNWIND`, a thousand a transaction, on a warm server."""
    from neo4j_server import Neo4jServer

    lines = list(histories.lines(entries))
    sealed = _sealed_of(lines)
    with Neo4jServer() as server:
        names = (f"bench-{number}" for number in itertools.count())

        def ours() -> float:
            with Ledger.open(server.uri, next(names)) as ledger:
                return seconds(lambda: ledger.import_lines(lines))

        def raw() -> float:
            return asyncio.run(_raw_neo4j(server.uri, next(names), sealed))

        paired(ours, raw, 1)  # a fresh server is half as fast as a warm one
        mine, floor, ratio = paired(ours, raw, rounds)
    return [_row("import into Neo4j", entries, mine, floor, ratio, "UNWIND", "at least 0.5")]


async def _raw_neo4j(uri: str, name: str, sealed: list[Sealed]) -> float:
    """Nodes with all their properties, then relationships between them found by index: two statements a transaction."""
    import time

    from neo4j import AsyncGraphDatabase

    from ledger.model.edges import edges_of
    from ledger.store.neo4j_nodes import _properties

    rows = [_properties(name, one) for one in sealed]
    edges = [[[one.entry.seq, target] for _, _, target in edges_of(one.entry)] for one in sealed]
    async with AsyncGraphDatabase.driver(uri) as driver, driver.session(database="neo4j") as session:
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            async with await session.begin_transaction() as transaction:
                result = await transaction.run(
                    "UNWIND $rows AS row CREATE (n:Entry:Belief) SET n = row",
                    rows=rows[start : start + BATCH],
                )
                await result.consume()
                result = await transaction.run(
                    "UNWIND $edges AS edge MATCH (a:Entry {ledger: $name, seq: edge[0]}) "
                    "MATCH (b:Entry {ledger: $name, seq: edge[1]}) CREATE (a)-[:BECAUSE {justification: 0}]->(b)",
                    edges=list(itertools.chain(*edges[start : start + BATCH])),
                    name=name,
                )
                await result.consume()
                await transaction.commit()
        return time.perf_counter() - began


def _sealed_of(lines: list[bytes]) -> list[Sealed]:
    """The log that the lines make."""
    with Ledger.open("memory:") as ledger:
        ledger.import_lines(lines)
        return asyncio.run(ledger._ledger._service.store.read("main", 0, len(lines), content=True))


def _row(what: str, entries: int, mine: float, floor: float, ratio: float, how: str, bar: str) -> Row:
    return Row(
        f"{what}, {entries:,} entries, two premises each",
        f"{entries / mine:,.0f}/s",
        f"{how} {entries / floor:,.0f}/s",
        1 / ratio,
        bar,
    )
