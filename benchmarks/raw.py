"""The raw floors: the very same rows and edges, as fast as each engine takes or gives them, and nothing judged."""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from neo4j import AsyncGraphDatabase, AsyncSession

from ledger.model.edges import edges_of
from ledger.model.entry import Sealed
from ledger.store import sqlite as engine
from ledger.store.neo4j_nodes import _properties


def sqlite_commits(path: Path, log: Sequence[Sealed], batch: int) -> float:
    """Seconds of `executemany` into the same tables of a new file, so many entries a transaction, and synced."""
    rows = [(1, *engine._row(one)) for one in log]
    edges = [[(1, *edge) for edge in engine._edges([one])] for one in log]
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        connection.execute(f"PRAGMA {statement}")
    for statement in ";".join(engine._MIGRATIONS).split(";"):
        connection.execute(statement)
    began = time.perf_counter()
    for start in range(0, len(rows), batch):
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"{engine._INSERT} VALUES ({', '.join('?' * 11)})", rows[start : start + batch])
        connection.executemany(
            f"{engine._INSERT_EDGE} VALUES (?, ?, ?, ?, ?)", itertools.chain(*edges[start : start + batch])
        )
        connection.execute("COMMIT")
    took = time.perf_counter() - began
    connection.close()
    return took


async def neo4j_commits(uri: str, name: str, log: Sequence[Sealed], batch: int) -> float:
    """Seconds of auto-commit statements that make so many nodes each, behind a head compared and set as ours is."""
    rows = [_properties(name, one) for one in log]
    async with AsyncGraphDatabase.driver(uri) as driver, driver.session(database="neo4j") as session:
        await _run(session, "CREATE (:Raw {name: $name, head: 0})", name=name)
        began = time.perf_counter()
        for start in range(0, len(rows), batch):
            await _run(
                session,
                "MATCH (l:Raw {name: $name}) WHERE l.head = $head SET l.head = $next "
                "WITH l UNWIND $rows AS row CREATE (n:Entry:Belief) SET n = row",
                name=name,
                head=start,
                next=start + batch,
                rows=rows[start : start + batch],
            )
        return time.perf_counter() - began


async def neo4j_graph(uri: str, name: str, log: Sequence[Sealed], batch: int) -> float:
    """Seconds of nodes with all their properties, then relationships between them, found by index: two statements a
    transaction."""
    rows = [_properties(name, one) for one in log]
    edges = [[[one.entry.seq, target] for _, _, target in edges_of(one.entry)] for one in log]
    async with AsyncGraphDatabase.driver(uri) as driver, driver.session(database="neo4j") as session:
        began = time.perf_counter()
        for start in range(0, len(rows), batch):
            async with await session.begin_transaction() as transaction:
                result = await transaction.run(
                    "UNWIND $rows AS row CREATE (n:Entry:Belief) SET n = row",
                    rows=rows[start : start + batch],
                )
                await result.consume()
                result = await transaction.run(
                    "UNWIND $edges AS edge MATCH (a:Entry {ledger: $name, seq: edge[0]}) "
                    "MATCH (b:Entry {ledger: $name, seq: edge[1]}) CREATE (a)-[:BECAUSE {justification: 0}]->(b)",
                    edges=list(itertools.chain(*edges[start : start + batch])),
                    name=name,
                )
                await result.consume()
                await transaction.commit()
        return time.perf_counter() - began


async def neo4j_columns(uri: str, name: str, entries: int, page: int = 5_000) -> float:
    """Seconds of reading envelopes and hashes as collected columns, a page a query."""
    async with AsyncGraphDatabase.driver(uri) as driver, driver.session(database="neo4j") as session:
        began, read = time.perf_counter(), 0
        for after in range(0, entries, page):
            result = await session.run(
                "MATCH (n:Entry {ledger: $name}) WHERE n.seq > $after AND n.seq <= $upto WITH n ORDER BY n.seq "
                "RETURN collect(n.envelope) AS envelopes, collect(n.hash) AS hashes",
                name=name,
                after=after,
                upto=after + page,
            )
            found = await result.single(strict=True)
            read += len(found["envelopes"])
        assert read == entries
        return time.perf_counter() - began


async def neo4j_version(uri: str) -> str:
    async with AsyncGraphDatabase.driver(uri) as driver:
        return (await driver.get_server_info()).agent.removeprefix("Neo4j/")


def sqlite_columns(path: Path) -> None:
    """Read envelopes and hashes of a file."""
    connection = sqlite3.connect(path)
    connection.execute("SELECT envelope, hash FROM entry ORDER BY ledger, seq").fetchall()
    connection.close()


async def _run(session: AsyncSession, statement: str, **parameters: object) -> None:
    await (await session.run(statement, parameters)).consume()
