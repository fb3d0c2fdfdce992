"""The flagship store: Neo4j, where the history is a graph that people read as it is meant.

Queries and migrations are files under `cypher/`. Each call to the driver passes `_session`, and its errors become ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import re
import time
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import neo4j
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random

from ledger.assets import asset
from ledger.clock import format_moment, system_clock
from ledger.errors import Corrupt, HeadMoved, Locked, NoSuchLedger, SchemaMismatch, StoreError, Unavailable
from ledger.model.entry import EMPTY, GENESIS, Head, Sealed, head_after, open_envelope
from ledger.model.tag import Tag
from ledger.store.base import LEASE_S, PAGE_CHARS, PAGE_ENTRIES, Collected, NodeState, Packing, StateStore, collected
from ledger.store.neo4j_nodes import portions, steps
from ledger.store.neo4j_place import Place

ANSWER_S = 15.0
"""How long one statement may take, here and on the server: one that hangs is one that is down."""
MIGRATION_S = 300.0
"""The same for a migration, which may have to index a large log."""
RACE_S = 15.0
"""How long to try when another process migrates at the same moment: it takes 6 s on a cold server."""
UNOWNED_S = 3.0
"""A constraint mostly takes its index milliseconds after that is filled: one without it for longer was left."""
FILLING = "POPULATING"
"""The state of an index until its constraint takes it."""

WHOLE_CHARS = 8_192
"""Content up to this comes with its page of 5,000 (40 MB at worst); larger comes after it, a few MB at a time."""
UNLIMITED = 1 << 40

PAGE_STATES = 20_000
CHUNK_STATES = 1_000
"""An append may have to wait for one such chunk: 30 ms, where the entries it names are written to."""

SETTLING_S = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0)
"""Pauses between looks at what a commit shows in part. That takes milliseconds: what lasts longer is damage."""


class Neo4jStore(StateStore):
    """All ledgers of one Neo4j database.

    Address: `bolt://[user:password@]host[:port][/database]`, also `neo4j://` (a cluster, whose leader is asked for all:
    checks are answered from memory, and a follower's answer would only be older), `+s` (TLS) and `+ssc` (TLS with any
    certificate). `user` and `password` count where the address has none.
    """

    poll_s = 0.5
    is_server = True

    def __init__(self, address: str, *, user: str | None = None, password: str | None = None) -> None:
        self._place = Place.parse(address, user, password)
        self.schema_version = migrations()[-1].number
        self._driver: neo4j.AsyncDriver | None = None
        self._ready = False
        self._packing = Packing(steps)

    # -- opening and closing ------------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        return str(self._place)

    async def open(self, *, create: bool) -> None:
        self._driver = self._driver or self._place.driver()
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
            with self._place.translated():
                await driver.close()

    @contextlib.asynccontextmanager
    async def _session(self, seconds: float = ANSWER_S) -> AsyncIterator[neo4j.AsyncSession]:
        """A session of the driver that ends in time."""
        if self._driver is None:
            raise StoreError(f"{self._place} is not open")
        with self._place.translated():
            async with asyncio.timeout(seconds), self._driver.session(database=self._place.database) as session:
                yield session

    async def _ask(self, query: str, **parameters: Any) -> neo4j.Record | None:
        """The one row of a query, or None, in a transaction of its own: one round trip, commit included."""
        async with self._session() as session:
            result = await session.run(neo4j.Query(query_text(query), timeout=ANSWER_S), parameters)
            return await result.single()

    async def _ask_row(self, query: str, **parameters: Any) -> neo4j.Record:
        """The row of a query that always has one."""
        row = await self._ask(query, **parameters)
        assert row is not None, query
        return row

    # -- schema -------------------------------------------------------------------------------------------------------

    async def migrate(self) -> list[str]:
        """Bring the database to this version of the package; the names of what was applied. Raises SchemaMismatch."""
        applied = []
        pending = await self._pending()
        self.schema_found = pending[0].number - 1 if pending else self.schema_version
        if pending:
            # Of several processes that prepare a database at once, all but one fall to deadlocks; they look again.
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(Unavailable),
                stop=stop_after_delay(RACE_S),
                wait=wait_random(0.1, 0.5),
                reraise=True,
            ):
                with attempt:
                    for migration in await self._pending():
                        await self._free_names(migration)
                        await self._apply(migration)
                        applied.append(migration.name)
        self._ready = True
        return applied

    async def _free_names(self, migration: Migration) -> None:
        """Drop what has the names of its constraints and was left by who was cut off while making those.

        Raises SchemaMismatch when something that has such a name is somebody else's.
        """
        seen = await self._unowned_indexes(migration)
        deadline = time.monotonic() + UNOWNED_S
        while seen and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            # Gone from here is one that got its constraint, even one in use a moment before that was seen.
            seen &= await self._unowned_indexes(migration)
        if others := sorted(name for _, name, state in seen if state != FILLING):
            raise SchemaMismatch(
                f"{self._place} has an index {', '.join(others)}, as one of our constraints is called: "
                "drop it, or make it anew under another name",
                store=self.place,
            )
        for _, name, _ in sorted(seen):
            # Should its constraint be in the making after all, the server lets us wait for that, and refuses.
            await self._run(query_text("drop_index"), name=name)

    async def _unowned_indexes(self, migration: Migration) -> set[tuple[int, str, str]]:
        """Indexes called like one of its constraints, where no constraint is: id, name and state of each."""
        row = await self._ask_row("unowned_indexes", names=[one.name for one in migration.constraints])
        return {(id, name, state) for id, name, state in row["unowned"] if name not in row["owned"]}

    async def _look_at_schema(self) -> None:
        """Write nothing: an empty place is fine, an older version is not."""
        pending = await self._pending()
        if 0 < len(pending) < len(migrations()):
            raise SchemaMismatch(f"{self._place} lacks migration {pending[0].name}; `ledger migrate` applies it")
        self._ready = not pending

    async def _pending(self) -> list[Migration]:
        """Migrations that were not applied here. Raises SchemaMismatch when others were."""
        row = await self._ask_row("migrations")
        known = {migration.number: migration for migration in migrations()}
        applied = {number: (name, checksum) for number, name, checksum in zip(*row.values(), strict=True)}
        for number, (name, checksum) in applied.items():
            if number not in known:
                raise SchemaMismatch(
                    f"{self._place} has migration {name}, which this version does not know: use a newer package",
                    schema=number,
                )
            if checksum != known[number].checksum:
                raise SchemaMismatch(
                    f"migration {known[number].name} is not the text that was applied to {self._place}: "
                    "it was changed since, or another build made that database",
                    schema=number,
                )
        return [migration for migration in migrations() if migration.number not in applied]

    async def _apply(self, migration: Migration) -> None:
        for statement in migration.statements:
            await self._run(statement)
        await self._check_constraints(migration)
        await self._ask(
            "record_migration",
            number=migration.number,
            name=migration.name,
            checksum=migration.checksum,
            applied_at=format_moment(system_clock()),
        )

    async def _run(self, statement: str, **parameters: Any) -> None:
        """A statement that may take long."""
        async with self._session(MIGRATION_S) as session:
            await (await session.run(neo4j.Query(statement, timeout=MIGRATION_S), parameters)).consume()

    async def _check_constraints(self, migration: Migration) -> None:
        """The server makes none whose name is taken, and says nothing. Raises SchemaMismatch."""
        there = (await self._ask_row("constraints"))["constraints"]
        for name, label, properties in migration.constraints:
            if [label, properties] not in there:
                raise SchemaMismatch(
                    f"{self._place} has a constraint {name} of something else, as one of ours is called: "
                    "drop it, or make it anew under another name",
                    store=self.place,
                )

    # -- the log ------------------------------------------------------------------------------------------------------

    async def ledgers(self) -> list[str]:
        return list((await self._ask_row("ledgers"))["names"])

    async def head(self, ledger: str) -> Head | None:
        for pause_s in SETTLING_S:
            row = await self._ask("head", ledger=ledger)
            if row is None:
                return None
            if row["envelope"] is not None:
                return head_after(_sealed(row["envelope"], row["hash"]))
            await asyncio.sleep(pause_s)
        raise Corrupt(f"the last entry of {ledger!r} is missing in {self._place}", ledger=ledger)

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        if not self._ready:
            await self.migrate()
        statements = self._packing(ledger, expects, entries, states)
        if len(statements) == 1 and expects != EMPTY:
            # Its own transaction: 1.3-2.2 times faster for a single entry than one begun and committed by us.
            landed = await self._ask("append", **statements[0]) is not None
        else:
            landed = await self._append_all(ledger, expects, statements)
        if not landed:
            head = await self.head(ledger) or EMPTY
            if head == expects:
                raise Corrupt(f"entries of {ledger!r} are missing in {self._place}: new ones name them", ledger=ledger)
            raise HeadMoved(f"{ledger!r} is at {head.seq}, not at {expects.seq}")

    def prepare(self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()) -> None:
        self._packing.prepare(ledger, expects, entries, states)

    async def _append_all(self, ledger: str, expects: Head, statements: list[dict[str, Any]]) -> bool:
        """Several statements in one transaction, each moving the head on from where the one before left it."""
        seconds = ANSWER_S * (1 + len(statements))
        async with self._session(seconds) as session, await session.begin_transaction(timeout=seconds) as transaction:
            if expects == EMPTY:
                await transaction.run(query_text("create_ledger"), ledger=ledger, genesis=GENESIS.hex())
            for parameters in statements:
                if await (await transaction.run(query_text("append"), parameters)).single() is None:
                    return False  # left without commit, it is undone
            await transaction.commit()
        return True

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        found: list[Sealed] = []
        while len(found) < limit:
            page_entries = min(PAGE_ENTRIES, limit - len(found))
            page = await self._page(ledger, after + len(found), page_entries, content)
            found += page
            if len(page) < page_entries:
                break
        return found

    async def _page(self, ledger: str, after: int, entries: int, content: bool) -> list[Sealed]:
        for pause_s in SETTLING_S:
            row = await self._ask_row(
                "read",
                ledger=ledger,
                after=after,
                upto=after + entries,
                content=content,
                most=PAGE_CHARS,
                whole=WHOLE_CHARS,
            )
            page = await self._opened(ledger, row)
            if all(sealed.entry.seq == seq for seq, sealed in enumerate(page, after + 1)):
                return page
            await asyncio.sleep(pause_s)
        raise self._gap(ledger, after)

    def _gap(self, ledger: str, after: int) -> Corrupt:
        return Corrupt(f"there is a gap in {ledger!r} behind entry {after} in {self._place}", ledger=ledger)

    async def collect(self, ledger: str, after: int, limit: int = PAGE_ENTRIES) -> Collected:
        for pause_s in SETTLING_S:
            row = await self._ask_row("collect", ledger=ledger, after=after, upto=after + limit)
            if row["last"] == after + len(row["hashes"]):
                return collected(map(str.encode, row["envelopes"]), [bytes.fromhex("".join(row["hashes"]))])
            await asyncio.sleep(pause_s)
        raise self._gap(ledger, after)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        found: dict[int, Sealed] = {}
        wanted = list(dict.fromkeys(seqs))
        for start in range(0, len(wanted), PAGE_ENTRIES):
            page = wanted[start : start + PAGE_ENTRIES]
            row = await self._ask_row("pick", ledger=ledger, seqs=page, content=content, whole=WHOLE_CHARS)
            found |= {sealed.entry.seq: sealed for sealed in await self._opened(ledger, row)}
        return [found[seq] for seq in seqs if seq in found]

    async def _opened(self, ledger: str, row: neo4j.Record) -> list[Sealed]:
        """Entries from their columns; the contents that were too large to come along are fetched."""
        entries = [_sealed(*columns) for columns in zip(*row.values(), strict=True)]
        columns = zip(entries, row["contents"], strict=True)
        sizes = {sealed.entry.seq: size for sealed, size in columns if isinstance(size, int)}
        complete: dict[int, Sealed] = {}
        for seqs in portions(sizes, sizes.__getitem__):
            row = await self._ask_row("pick", ledger=ledger, seqs=seqs, content=True, whole=UNLIMITED)
            complete |= {sealed.entry.seq: sealed for sealed in await self._opened(ledger, row)}
        return [complete.get(sealed.entry.seq, sealed) for sealed in entries]

    # -- tags ---------------------------------------------------------------------------------------------------------

    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        row = await self._ask("put_tag", ledger=ledger, name=tag.name, seq=tag.seq, hash=tag.hash.hex())
        if row is None:
            raise NoSuchLedger(f"there is no ledger {ledger!r}", ledger=ledger)
        return None if row["hash"] is None else Tag(tag.name, row["seq"], bytes.fromhex(row["hash"]))

    async def tags(self, ledger: str) -> list[Tag]:
        columns = (await self._ask_row("tags", ledger=ledger)).values()
        return [Tag(name, seq, bytes.fromhex(chain)) for name, seq, chain in zip(*columns, strict=True)]

    # -- states -------------------------------------------------------------------------------------------------------

    async def take_lease(self, ledger: str, holder: str, seconds: float) -> int | None:
        row = await self._ask("take_lease", ledger=ledger, holder=holder, lease_ms=int(seconds * 1_000))
        return None if row is None else int(row["state_seq"])

    async def write_states(self, ledger: str, holder: str, states: Sequence[NodeState], upto: int) -> None:
        # The ledger's node stays unlocked while its entries are written to, so that no append waits for that.
        for start in range(0, len(states), CHUNK_STATES):
            if await self.take_lease(ledger, holder, LEASE_S) is None:
                raise _lease_lost(ledger)
            rows = [list(state) for state in states[start : start + CHUNK_STATES]]
            await self._ask("write_states", ledger=ledger, states=rows, upto=upto)
        if await self._ask("advance_states", ledger=ledger, holder=holder, upto=upto) is None:
            raise _lease_lost(ledger)

    async def states_upto(self, ledger: str) -> int:
        row = await self._ask("states_upto", ledger=ledger)
        return 0 if row is None else int(row["state_seq"])

    async def read_states(self, ledger: str) -> tuple[int, dict[int, tuple[str | None, str | None]]]:
        upto = head = 0
        found: dict[int, tuple[str | None, str | None]] = {}
        for after in itertools.count(0, PAGE_STATES):
            row = await self._ask("read_states", ledger=ledger, after=after, upto=after + PAGE_STATES)
            if row is None:
                break
            if after == 0:
                upto, head = row["state_seq"], row["head"]
            columns = zip(row["seqs"], row["states"], row["reasons"], strict=True)
            found |= {seq: (state or None, reason or None) for seq, state, reason in columns}
            if after + PAGE_STATES >= head:
                break
        return upto, found


def _lease_lost(ledger: str) -> Locked:
    return Locked(f"another process writes the states of {ledger!r} by now", ledger=ledger)


def _sealed(envelope: str, chain: str, content: str | int = "") -> Sealed:
    """An entry as it was appended. A content that is '' or a number is not there."""
    try:
        entry = open_envelope(envelope)
        text = content if isinstance(content, str) and content else None
        return Sealed(entry, envelope.encode(), bytes.fromhex(chain), text)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise Corrupt(f"an entry cannot be read: {error}") from error


# -- files ------------------------------------------------------------------------------------------------------------


class Migration(NamedTuple):
    """A file that changes the schema; immutable once applied anywhere."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        return [statement for statement in self.text.split(";\n") if statement.strip()]

    @property
    def constraints(self) -> list[Constraint]:
        """Those it makes."""
        return [
            Constraint(name, label, re.findall(r"\w\.(\w+)", unique))
            for name, label, unique in _CONSTRAINT.findall(self.text)
        ]


class Constraint(NamedTuple):
    """No two nodes with this label have the same values of these properties."""

    name: str
    label: str
    properties: list[str]


_CONSTRAINT = re.compile(
    r"^CREATE CONSTRAINT (\w+) IF NOT EXISTS\nFOR \(\w+:(\w+)\) REQUIRE (.+) IS UNIQUE;$", re.MULTILINE
)


@cache
def migrations() -> tuple[Migration, ...]:
    """All that this version knows, in order."""
    files = sorted(asset("cypher", "migrations").glob("*.cypher"))
    return tuple(Migration(int(file.stem.partition("_")[0]), file.stem, _text(file)) for file in files)


@cache
def query_text(name: str) -> str:
    """A query file."""
    return _text(asset("cypher", "queries", f"{name}.cypher"))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8")
