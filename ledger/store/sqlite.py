"""The embedded default: one SQLite file, safe with several processes on it (WAL, synchronous=FULL).

Writes go through one connection in a thread of its own, so that checks stay responsive while the disk syncs; reads go
through another, since a write may wait seconds for another process, and a read for nobody. A third connection asks
`PRAGMA data_version` before each read (5-8 µs), which shows what another process wrote. That the file is still the one
at its path is looked at before all that goes to the disk, and beside the watching every quarter of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ledger.clock import format_moment
from ledger.errors import (
    Corrupt,
    Full,
    HeadMoved,
    LedgerError,
    Locked,
    NoSuchDatabase,
    NoSuchLedger,
    ReadOnly,
    SchemaMismatch,
    StoreError,
    Unavailable,
)
from ledger.model.edges import edges_of
from ledger.model.entry import EMPTY, Head, Record, Revocation, Sealed, head_after, open_envelope
from ledger.model.tag import Tag
from ledger.store.base import PAGE_ENTRIES, Collected, NodeState, Packing, Store, collected, one_page

APPLICATION_ID = 0x4C444752
"""Marks the file as ours ("LDGR"), so that a wrong path never gets our tables."""

BUSY_TIMEOUT_S = 10.0
"""How long to wait for another process that writes, unless told otherwise."""

FILE_LOOK_S = 0.25
"""How often a check looks whether the file is still there: it takes 1 µs, where all of a check takes 5."""

WAL_ATTEMPTS = 20

WIPE_S = 0.1
"""How long those who read may keep us from emptying the write-ahead log: other processes cannot write meanwhile."""

ROW_WIDTH = 10
EDGE_WIDTH = 4
"""Values of a row, but for the number of its ledger."""

ROWS_MAX = 2048
"""Inserted by one statement, which may have 32,766 values."""

T = TypeVar("T")

_LOG = """
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL,
    hash BLOB NOT NULL,
    recorded_at_us INTEGER NOT NULL
);
CREATE TABLE entry (
    ledger INTEGER NOT NULL REFERENCES ledger (id),
    seq INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT,
    version INTEGER,
    digest TEXT,
    actor TEXT,
    recorded_at TEXT NOT NULL,
    hash BLOB NOT NULL,
    envelope TEXT NOT NULL,
    content TEXT,
    PRIMARY KEY (ledger, seq)
) WITHOUT ROWID;
CREATE TABLE edge (
    ledger INTEGER NOT NULL,
    source INTEGER NOT NULL,
    type TEXT NOT NULL,
    justification INTEGER NOT NULL,
    target INTEGER NOT NULL,
    PRIMARY KEY (ledger, target, type, source, justification)
) WITHOUT ROWID;
"""
_TAGS = """
CREATE TABLE tag (
    ledger INTEGER NOT NULL REFERENCES ledger (id),
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (ledger, name)
) WITHOUT ROWID;
"""
_MIGRATIONS = (_LOG, _TAGS)
"""A file of version n has had the first n."""
SCHEMA_VERSION = len(_MIGRATIONS)

_HEAD = "SELECT head, hash, recorded_at_us FROM ledger WHERE name = ?"
_CREATE = "INSERT INTO ledger (name, head, hash, recorded_at_us) VALUES (?, ?, ?, ?)"
_ADVANCE = "UPDATE ledger SET head = ?, hash = ?, recorded_at_us = ? WHERE name = ? AND head = ? AND hash = ?"
_INSERT = "INSERT INTO entry"
_INSERT_EDGE = "INSERT OR IGNORE INTO edge"
_ERASE = "UPDATE entry SET content = NULL WHERE ledger = ? AND seq = ?"
_COLUMNS = "e.envelope, e.hash"
_READ = (
    "SELECT {columns} FROM entry e WHERE e.ledger = (SELECT id FROM ledger WHERE name = ?) "
    "AND e.seq > ? ORDER BY e.seq LIMIT ?"
)
# Collected in the engine, outside of Python's lock: half of what the rows cost, and beside what is done with the last.
_COLLECT = (
    "SELECT CAST('[' || group_concat(envelope, ',') || ']' AS BLOB), CAST(group_concat(hash, '') AS BLOB) FROM "
    f"({_READ.format(columns=_COLUMNS)})"
)
_PICK = "SELECT {columns} FROM entry e JOIN ledger l ON l.id = e.ledger WHERE l.name = ? AND e.seq = ?"
_TAG = "INSERT INTO tag (ledger, name, seq, hash) SELECT id, ?, ?, ? FROM ledger WHERE name = ? ON CONFLICT DO NOTHING"
_TAGGED = "SELECT t.name, t.seq, t.hash FROM tag t JOIN ledger l ON l.id = t.ledger WHERE l.name = ? ORDER BY t.name"


class SqliteStore(Store):
    """All ledgers of one file."""

    schema_version = SCHEMA_VERSION

    def __init__(self, path: str | Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = Path(path).absolute()  # it stays that file where the process changes its folder
        self.busy_timeout_s = busy_timeout_s
        self._writing = _Line("ledger-sqlite-writing", self._require_file, self._connect_writer)
        self._reading = _Line("ledger-sqlite-reading", self._require_file, self._connect_reader)
        self._file: tuple[int, int] | None = None  # device and number of the one that was opened
        self._looked_s = -math.inf
        self._watcher: sqlite3.Connection | None = None
        self._watching = threading.Lock()
        self._versions_seen: dict[str, tuple[int, Head]] = {}
        self._packing = Packing(_pack)
        self._unwiped = True  # a process that was killed may have left what it erased

    @property
    def place(self) -> str:
        return str(self.path.resolve())

    async def open(self, *, create: bool) -> None:
        with self._translated():
            if self.path.exists():
                await (self._writing if create else self._reading).run(_nothing)
            else:
                self._check_folder(create=create)  # an empty place; only writing creates it

    async def close(self) -> None:
        await self._reading.close()
        with self._watching:
            if self._watcher is not None:
                self._watcher.close()
                self._watcher = None
        await self._writing.close(self._wipe)

    async def ledgers(self) -> list[str]:
        def names(connection: sqlite3.Connection) -> list[str]:
            return [name for (name,) in connection.execute("SELECT name FROM ledger ORDER BY name")]

        return await self._read(names, [])

    async def head(self, ledger: str) -> Head | None:
        return await self._read(lambda connection: _head(connection, ledger), None)

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        packed, head = self._packing(ledger, expects, entries, states), head_after(entries[-1])

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                number = _advance(connection, ledger, expects, head)
                _insert(connection, _INSERT, ROW_WIDTH, number, packed.rows)
                _insert(connection, _INSERT_EDGE, EDGE_WIDTH, number, packed.edges)
                if packed.erased:
                    connection.executemany(_ERASE, [(number, seq) for seq in packed.erased])
            self._unwiped = self._unwiped or bool(packed.erased)
            self._wipe(connection, WIPE_S if packed.erased else 0.0)

        with self._translated():
            await self._writing.run(write)

    def prepare(self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()) -> None:
        self._packing.prepare(ledger, expects, entries, states)

    async def hold(self) -> None:
        with self._translated():
            await self._writing.run(_begin)

    async def release(self) -> None:
        if self._writing.connected:
            with self._translated():
                await self._writing.run(_roll_back)

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        query = _READ.format(columns=_COLUMNS + ", e.content" * content)

        def rows(connection: sqlite3.Connection) -> list[Sealed]:
            # Closed whatever happens: an entry that cannot be read would leave the query, and the file, open.
            with contextlib.closing(connection.execute(query, (ledger, after, limit))) as found:
                return list(one_page(itertools.starmap(_sealed, found)))

        return await self._read(rows, [])

    async def collect(self, ledger: str, after: int, limit: int = PAGE_ENTRIES) -> Collected:
        def columns(connection: sqlite3.Connection) -> Collected | None:
            try:
                envelopes, hashes = connection.execute(_COLLECT, (ledger, after, limit)).fetchone()
            except sqlite3.DataError:  # more than the gigabyte that SQLite takes for a text
                rows = connection.execute(_READ.format(columns=_COLUMNS), (ledger, after, limit)).fetchall()
                return collected((envelope.encode() for envelope, _ in rows), (hash for _, hash in rows))
            return None if envelopes is None else Collected(envelopes, hashes)

        return await self._read(columns, None) or Collected(b"[]", b"")

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        query = _PICK.format(columns=_COLUMNS + ", e.content" * content)

        def rows(connection: sqlite3.Connection) -> list[Sealed]:
            found = (connection.execute(query, (ledger, seq)).fetchone() for seq in seqs)
            return [_sealed(*row) for row in found if row is not None]

        return await self._read(rows, [])

    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        if await self.head(ledger) is None:
            raise NoSuchLedger(f"there is no ledger {ledger!r}", ledger=ledger)

        def write(connection: sqlite3.Connection) -> bool:
            with _transaction(connection):
                return bool(connection.execute(_TAG, (*tag, ledger)).rowcount)

        with self._translated():
            if await self._writing.run(write):
                return None
        return next(one for one in await self.tags(ledger) if one.name == tag.name)

    async def tags(self, ledger: str) -> list[Tag]:
        def rows(connection: sqlite3.Connection) -> list[Tag]:
            return [Tag(*row) for row in connection.execute(_TAGGED, (ledger,)).fetchall()]

        return await self._read(rows, [])

    def moved(self, ledger: str, seen: Head) -> bool:
        with self._watching:
            if self._watcher is None:
                return self._file is not None or self.path.exists()
            with self._translated():
                if time.monotonic() - self._looked_s > FILE_LOOK_S:
                    self._require_file()
                (version,) = self._watcher.execute("PRAGMA data_version").fetchone()
                if self._versions_seen.get(ledger) == (version, seen):
                    return False
                # Any commit to the file moves its version; whether it was to this ledger, its head tells.
                head = _head(self._watcher, ledger) or EMPTY
            if head == seen:
                self._versions_seen[ledger] = (version, seen)
            return head != seen

    def _wipe(self, connection: sqlite3.Connection, wait_s: float = WIPE_S) -> None:
        """Empty the write-ahead log if what was erased may still lie there; if that cannot be now, at the next call.

        Never raises: what was committed stays so, though somebody reads, or there is no room for it in the file itself.
        Where another file was put in place, the log beside it is that one's.
        """
        if not self._unwiped:
            return
        with contextlib.suppress(sqlite3.Error, OSError, Corrupt):
            self._require_file()
            _wait_at_most(connection, wait_s)
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            self._unwiped = bool(busy)
        _wait_at_most(connection, self.busy_timeout_s)

    # -- connections --------------------------------------------------------------------------------------------------

    async def _read(self, work: Callable[[sqlite3.Connection], T], absent: T) -> T:
        """Run `work` in the thread for reads; where there is no file yet, answer `absent`."""
        with self._translated():
            # An empty file is one that another process is making at this moment.
            if self._file is None and not (self.path.exists() and self.path.stat().st_size):
                return absent
            return await self._reading.run(work)

    def _require_file(self) -> None:
        """Who has a file open reads and writes on in it, though it was deleted or another lies in its place.

        Raises FileNotFoundError (told as Unavailable: it may come back), Corrupt. Nothing if none has been opened.
        """
        if self._file is None:
            return
        if self._file != _file_at(self.path):
            raise Corrupt(
                f"{str(self.path)!r} is another file than the one opened here, such as a back-up put in its place: "
                "open the ledger anew",
                path=str(self.path),
            )
        self._looked_s = time.monotonic()

    def _connect_writer(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._check_folder(create=True)
        writable = self._may_be_written()
        connection = _connect(self.path, "rwc", self.busy_timeout_s)
        with _closed_unless_well(connection):
            self.schema_found = _check(connection, self.path, create=writable)
            if writable:
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA secure_delete = ON").fetchall()
            self._file = _file_at(self.path)
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        """And the watcher with it: there is nothing to watch where nothing can be read."""
        mode = "rw" if self._may_be_written() else "ro"
        connection = _connect(self.path, mode, self.busy_timeout_s)
        with _closed_unless_well(connection):
            _check(connection, self.path, create=False)
            watcher = _connect(self.path, mode, self.busy_timeout_s)
            self._file = _file_at(self.path)
        with self._watching:
            self._watcher = watcher
        return connection

    def _may_be_written(self) -> bool:
        return os.access(self.path if self.path.exists() else self.path.parent, os.W_OK)

    def _check_folder(self, *, create: bool) -> None:
        """Whether the file could be there, and be made (`create`)."""
        folder = self.path.parent
        if not folder.is_dir():
            raise NoSuchDatabase(f"the folder {str(folder)!r} does not exist", path=str(self.path))
        if create and not os.access(folder, os.W_OK):
            raise ReadOnly(f"{str(folder)!r} may not be written to", path=str(self.path))

    def _translated(self) -> contextlib.AbstractContextManager[None]:
        return _translated(self.path, self.busy_timeout_s)


def _nothing(_: sqlite3.Connection) -> None:
    """Work that only wants the connection to be there."""


class _Line:
    """A connection, and the one thread that uses it; it is made for the first work, and `allow` asked before each."""

    def __init__(self, name: str, allow: Callable[[], None], connect: Callable[[], sqlite3.Connection]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._allow = allow
        self._connect = connect
        self._connection: sqlite3.Connection | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def run() -> T:
            self._allow()
            if self._connection is None:
                self._connection = self._connect()
            return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def close(self, last: Callable[[sqlite3.Connection], None] = _nothing) -> None:
        """After the work that waits, though nobody may wait for it any more; and after this `last` work."""
        await asyncio.to_thread(self._close, last)

    def _close(self, last: Callable[[sqlite3.Connection], None]) -> None:
        self._thread.shutdown()
        if self._connection is not None:
            last(self._connection)
            self._connection.close()
            self._connection = None


def _file_at(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _connect(path: Path, mode: str, busy_timeout_s: float) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)


@contextlib.contextmanager
def _closed_unless_well(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _check(connection: sqlite3.Connection, path: Path, *, create: bool) -> int:
    """Make sure the file is ours, and of this version or brought to it (`create`); the version found; 0: empty."""
    # One look: another process may be giving the file its tables between two.
    connection.execute("BEGIN")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute("COMMIT")
    if not application and not version and not tables:
        if not create:
            raise NoSuchDatabase(f"{str(path)!r} is an empty file, not a ledger", path=str(path))
        _migrate(connection)
    elif application != APPLICATION_ID:
        raise NoSuchDatabase(f"{str(path)!r} is a SQLite file of something else, not a ledger", path=str(path))
    elif version > SCHEMA_VERSION:
        raise SchemaMismatch(
            f"{str(path)!r} has schema {version}, this version knows {SCHEMA_VERSION}: use a newer package",
            schema=version,
        )
    elif version < SCHEMA_VERSION:
        if not create:
            raise SchemaMismatch(
                f"{str(path)!r} has schema {version}, this version needs {SCHEMA_VERSION}: run `ledger migrate`",
                schema=version,
            )
        _migrate(connection)
    return int(version)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait by itself while another process does the same, so we do."""
    for attempt in range(WAL_ATTEMPTS + 1):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt == WAL_ATTEMPTS:
                raise
            time.sleep(0.01)


def _migrate(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        # Another process may have been faster.
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for migration in _MIGRATIONS[version:]:
            for statement in migration.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    _begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _begin(connection: sqlite3.Connection) -> None:
    """Be the one who writes; perhaps we are already (`hold`)."""
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _insert(connection: sqlite3.Connection, into: str, width: int, ledger: int, values: list[Any]) -> None:
    """Insert rows, their values one behind the other, by one statement, or few.

    Python's driver gives the interpreter away for each statement, and has it back only when the thread that judges lets
    go of it: up to 5 ms later. With a statement a row, a commit beside a busy thread took a hundred times as long.
    """
    for start in range(0, len(values), ROWS_MAX * width):
        part = values[start : start + ROWS_MAX * width]
        # Filled up with nothing to a power of two, so that there are a dozen statements and SQLite knows them all.
        size = 1 << (len(part) // width - 1).bit_length()
        connection.execute(_insertion(into, width, size), [ledger, *part, *[None] * (width * size - len(part))])


@cache
def _insertion(into: str, width: int, size: int) -> str:
    one = f"({', '.join('?' * width)})"
    return f"{into} SELECT ?, * FROM (VALUES {', '.join([one] * size)}) WHERE column1 IS NOT NULL"


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    """For others who have the file, from now on."""
    connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}").fetchall()


def _head(connection: sqlite3.Connection, ledger: str) -> Head | None:
    row = connection.execute(_HEAD, (ledger,)).fetchone()
    return Head(*row) if row else None


def _advance(connection: sqlite3.Connection, ledger: str, expects: Head, head: Head) -> int:
    """Compare and set the head; the ledger's row number."""
    if expects == EMPTY and _head(connection, ledger) is None:
        connection.execute(_CREATE, (ledger, *head))
    elif connection.execute(_ADVANCE, (*head, ledger, expects.seq, expects.hash)).rowcount != 1:
        raise HeadMoved(f"{ledger!r} is no longer at {expects.seq}")
    (number,) = connection.execute("SELECT id FROM ledger WHERE name = ?", (ledger,)).fetchone()
    return int(number)


class _Packed(NamedTuple):
    """The values of rows, one behind the other: what is one object is nothing to the garbage collector."""

    rows: list[Any]
    edges: list[Any]
    erased: list[int]


def _pack(_: str, __: Head, entries: Sequence[Sealed], ___: Sequence[NodeState]) -> _Packed:
    packed = _Packed([], [], [])
    for sealed in entries:
        packed.rows.extend(_row(sealed))
        if isinstance(sealed.entry, Revocation):
            packed.erased.extend(sealed.entry.erases)
    for edge in _edges(entries):
        packed.edges.extend(edge)
    return packed


_moment = lru_cache(maxsize=64)(format_moment)  # what is committed together was recorded at few moments


def _row(sealed: Sealed) -> tuple[Any, ...]:
    entry = sealed.entry
    record = entry if isinstance(entry, Record) else None
    return (
        entry.seq,
        entry.kind,
        record.key if record else None,
        record.version if record else None,
        record.digest if record else None,
        entry.actor,
        _moment(entry.recorded_at_us),
        sealed.hash,
        sealed.envelope.decode(),
        sealed.content,
    )


def _edges(entries: Sequence[Sealed]) -> Iterator[tuple[int, str, int, int]]:
    """(source, type, justification, target) for whoever looks at the file with SQL."""
    for sealed in entries:
        for name, justification, target in edges_of(sealed.entry):
            yield sealed.entry.seq, name, justification, target


def _sealed(envelope: str, chain: bytes, content: str | None = None) -> Sealed:
    try:
        return Sealed(open_envelope(envelope), envelope.encode(), chain, content)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise Corrupt(f"an entry cannot be read: {error}") from error


def _read_only(path: Path) -> str:
    if os.access(path.parent, os.W_OK):
        return f"{str(path)!r} may not be written to"
    told = f"the folder of {str(path)!r} may not be written to"
    return f"{told}, and SQLite needs that even to read; copy the file elsewhere"


@contextlib.contextmanager
def _translated(path: Path, busy_timeout_s: float) -> Iterator[None]:
    """SQLite's errors in our words; the one place where they are known."""
    name = str(path)
    try:
        yield
    except LedgerError:
        raise
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        match code:
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                waited = f"{busy_timeout_s:g} s"
                raise Locked(f"{name!r} has been locked by another process for {waited}", path=name) from error
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
                raise ReadOnly(_read_only(path), path=name) from error
            case sqlite3.SQLITE_FULL:
                raise Full(f"there is no room left for {name!r}; nothing was recorded", path=name) from error
            case sqlite3.SQLITE_CANTOPEN:
                raise NoSuchDatabase(f"{name!r} cannot be opened", path=name) from error
            case sqlite3.SQLITE_NOTADB:
                raise NoSuchDatabase(f"{name!r} is not a SQLite file", path=name) from error
            case sqlite3.SQLITE_CORRUPT:
                raise Corrupt(f"{name!r} is damaged: {error}", path=name) from error
            case sqlite3.SQLITE_IOERR:
                raise Unavailable(f"{name!r} cannot be read or written: {error}", path=name) from error
        raise StoreError(f"{name!r}: {error}", path=name) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Full(f"there is no room left for {name!r}; nothing was recorded", path=name) from error
        raise Unavailable(f"{name!r}: {error.strerror}", path=name) from error
