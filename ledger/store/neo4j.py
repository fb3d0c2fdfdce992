"""The flagship store: Neo4j, where the history is a graph that people read as it is meant.

Queries and migrations are files under `cypher/`. `_session` is the one door to the driver: its errors become ours there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import neo4j
from neo4j.exceptions import (
    AuthError,
    ClientError,
    ConfigurationError,
    ConnectionPoolError,
    ConstraintError,
    DatabaseError,
    DriverError,
    Forbidden,
    ForbiddenOnReadOnlyDatabase,
    GqlError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from ledger.assets import asset
from ledger.clock import format_moment, system_clock
from ledger.errors import (
    BadAddress,
    Corrupt,
    HeadMoved,
    LedgerError,
    Locked,
    NoSuchDatabase,
    ReadOnly,
    SchemaMismatch,
    StoreError,
    TooLarge,
    Unavailable,
)
from ledger.model.edges import edges_of
from ledger.model.entry import EMPTY, GENESIS, Event, Head, Record, Reinstatement, Revocation, Sealed, open_envelope
from ledger.store.base import PAGE_ENTRIES, NodeState, StateStore

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
DEFAULT_DATABASE = "neo4j"

CONNECT_S = 3.0
ACQUIRE_S = 5.0
ANSWER_S = 20.0
"""How long one statement may take, here and on the server: a server that hangs is one that is down."""

IDLE_S = 10.0
"""Connections idle for longer are tried before use: after a restart of the server the old ones are dead."""

CHUNK_ENTRIES = 2_000
CHUNK_CHARS = 8_000_000
"""What one statement writes, or how much large content one answer carries: the server holds it all in its heap."""

WHOLE_CHARS = 8_192
"""Content up to this comes with its page (40 MB at worst); larger comes by itself, in answers of CHUNK_CHARS."""

CHUNK_STATES = 2_000
PAGE_STATES = 20_000

SETTLE_S = 1.0
_SETTLE_STEP_S = 0.01


class Neo4jStore(StateStore):
    """All ledgers of one Neo4j database.

    Address: `bolt://[user:password@]host[:port][/database]`, also `neo4j://` (a cluster's leader is asked for everything:
    checks are answered from memory, and a follower's view would only be older), `+s` (TLS) and `+ssc` (TLS, any
    certificate). `user` and `password` count where the address has none.
    """

    poll_s = 0.5

    def __init__(self, address: str, *, user: str | None = None, password: str | None = None) -> None:
        self._place = _Place.parse(address, user, password)
        self._driver: neo4j.AsyncDriver | None = None
        self._ready = False
        self._leases_s: dict[tuple[str, str], float] = {}

    def __repr__(self) -> str:
        return f"Neo4jStore({self._place.name!r})"

    # -- opening and closing ------------------------------------------------------------------------------------------

    async def open(self, *, create: bool) -> None:
        if self._driver is None:
            self._driver = self._connect()
        try:
            if create:
                await self.migrate()
            else:
                await self._look_at_schema()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        driver, self._driver = self._driver, None
        if driver is not None:
            with _translated(self._place):
                await driver.close()

    def _connect(self) -> neo4j.AsyncDriver:
        with _translated(self._place):
            return neo4j.AsyncGraphDatabase.driver(
                self._place.uri,
                auth=self._place.auth,
                connection_timeout=CONNECT_S,
                connection_acquisition_timeout=ACQUIRE_S,
                liveness_check_timeout=IDLE_S,
                max_connection_pool_size=20,
                notifications_min_severity="OFF",
                telemetry_disabled=True,
            )

    @contextlib.asynccontextmanager
    async def _session(self, seconds: float = ANSWER_S) -> AsyncIterator[neo4j.AsyncSession]:
        """A session that ends in time, one way or another."""
        if self._driver is None:
            raise StoreError(f"{self._place.name} is not open")
        with _translated(self._place):
            async with asyncio.timeout(seconds), self._driver.session(database=self._place.database) as session:
                yield session

    async def _ask(self, query: str, **parameters: Any) -> neo4j.Record | None:
        """The only row of a query, if it has one, in a transaction of its own: one round trip, commit included."""
        async with self._session() as session:
            result = await session.run(neo4j.Query(_query(query), timeout=ANSWER_S), parameters)
            return await result.single()

    # -- schema -------------------------------------------------------------------------------------------------------

    async def migrate(self) -> list[str]:
        """Bring the database to this version of the package; the names of what was applied."""
        applied = []
        for migration in await self._pending():
            await self._apply(migration)
            applied.append(migration.name)
        self._ready = True
        return applied

    async def _look_at_schema(self) -> None:
        """Without writing: an empty place is fine, another version than ours is not."""
        pending = await self._pending()
        known = _migrations()
        self._ready = not pending
        if pending and len(pending) < len(known):
            raise SchemaMismatch(
                f"{self._place.name} lacks {pending[0].name}: bring it to this version with `ledger migrate`",
                schema=pending[0].number - 1,
            )

    async def _pending(self) -> list[Migration]:
        """Known migrations that were not applied. Raises SchemaMismatch if others were."""
        row = await self._ask("migrations")
        assert row is not None
        checksums = dict(zip(row["numbers"], row["checksums"], strict=True))
        known = {migration.number: migration for migration in _migrations()}
        for number, name in zip(row["numbers"], row["names"], strict=True):
            if number not in known:
                raise SchemaMismatch(
                    f"{self._place.name} has migration {name}, which this version does not know: use a newer version of the package",
                    schema=number,
                )
            if known[number].checksum != checksums[number]:
                raise SchemaMismatch(
                    f"migration {known[number].name} is not the one that was applied to {self._place.name}: "
                    "its file was changed since, or that database belongs to another build",
                    schema=number,
                )
        return [migration for number, migration in known.items() if number not in checksums]

    async def _apply(self, migration: Migration) -> None:
        for statement in migration.statements:
            async with self._session(MIGRATION_S) as session:
                await (await session.run(neo4j.Query(statement, timeout=MIGRATION_S))).consume()
        await self._ask(
            "record_migration",
            number=migration.number,
            name=migration.name,
            checksum=migration.checksum,
            applied_at=format_moment(system_clock()),
        )

    # -- the log ------------------------------------------------------------------------------------------------------

    async def ledgers(self) -> list[str]:
        row = await self._ask("ledgers")
        assert row is not None
        return list(row["names"])

    async def head(self, ledger: str) -> Head | None:
        async def look() -> tuple[Head | None, bool]:
            row = await self._ask("head", ledger=ledger)
            if row is None:
                return None, True
            if row["envelope"] is None:
                return None, False
            sealed = _sealed(row["envelope"], row["hash"], "")
            return Head(sealed.entry.seq, sealed.hash, sealed.entry.recorded_at_us), True
