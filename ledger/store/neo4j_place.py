"""Where a Neo4j is, how to get there, and what its errors and the driver's mean in our words."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import neo4j
from neo4j.exceptions import (
    AuthError,
    ConfigurationError,
    ConnectionPoolError,
    ConstraintError,
    DatabaseError,
    Forbidden,
    ForbiddenOnReadOnlyDatabase,
    GqlError,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
    TransientError,
)

from ledger.errors import (
    BadAddress,
    Corrupt,
    LedgerError,
    NoSuchDatabase,
    ReadOnly,
    SchemaMismatch,
    StoreError,
    TooLarge,
    Unavailable,
)

# What the driver says there is in the errors we raise; without a handler it would land on standard error as well.
logging.getLogger("neo4j").addHandler(logging.NullHandler())

SCHEMES = ("bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")
DEFAULT_DATABASE = "neo4j"
DEFAULT_USER = "neo4j"

CONNECT_S = 3.0
ACQUIRE_S = 5.0
IDLE_S = 10.0
"""A connection idle for longer is tried before it is used: after a restart of the server the old ones are dead."""


class Place(NamedTuple):
    """One database of one server or cluster. As text it shows no credentials."""

    uri: str
    database: str
    auth: tuple[str, str] | None

    @classmethod
    def parse(cls, address: str, user: str | None, password: str | None) -> Place:
        """`bolt://[user:password@]host[:port][/database]`. Raises BadAddress, which never repeats a password."""
        try:
            url = urlsplit(address)
            host, _ = url.hostname, url.port
        except ValueError:
            # Its words may hold the part of a password behind a character that was not percent-encoded.
            raise BadAddress(
                "host and port of the store address cannot be read; in a password / @ : are %2F %40 %3A"
            ) from None
        if url.scheme not in SCHEMES or not host:
            raise BadAddress("a Neo4j address is like bolt://127.0.0.1:7687 or neo4j+s://user:password@host/database")
        if "@" in url.path:
            raise BadAddress("the store address has an @ behind its host; in a password / @ : are %2F %40 %3A")
        uri = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"
        shown = uri + url.path
        if url.query or url.fragment:
            raise BadAddress(f"{shown!r} goes on with ? or #, which mean nothing here", store=shown)
        database = unquote(url.path.removeprefix("/")) or DEFAULT_DATABASE
        if "/" in database or database == "system":
            raise BadAddress(f"{database!r} in {shown!r} is no database for ledgers", store=shown)
        return cls(uri, database, _credentials(url, user, password))

    def driver(self) -> neo4j.AsyncDriver:
        """The way there; nothing is connected yet."""
        with self.translated():
            return neo4j.AsyncGraphDatabase.driver(
                self.uri,
                auth=self.auth,
                connection_timeout=CONNECT_S,
                connection_acquisition_timeout=ACQUIRE_S,
                liveness_check_timeout=IDLE_S,
                notifications_min_severity="OFF",
                telemetry_disabled=True,
            )

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """Errors of driver and server as ours: the one place where they are known."""
        try:
            yield
        except (GqlError, OSError) as error:
            code = error.code if isinstance(error, Neo4jError) else None
            ours, text = _BY_CODE.get(code or "") or next(row[1:] for row in _BY_CLASS if isinstance(error, row[0]))
            raise ours(f"{self}: {text}{_told(error)}", store=str(self), neo4j_code=code) from error

    def __str__(self) -> str:
        return f"{self.uri}/{self.database}"


def _credentials(url: SplitResult, user: str | None, password: str | None) -> tuple[str, str] | None:
    """Those of the address before those given beside it; None for a server without authentication."""
    user = unquote(url.username) if url.username else user
    password = unquote(url.password) if url.password is not None else password
    return (user or DEFAULT_USER, password or "") if user or password else None


_CREDENTIALS = "as user:password@ in the address (percent-encoded), or as LEDGER_NEO4J_USER and LEDGER_NEO4J_PASSWORD"
_TAKEN = "something else there uses the labels Entry, Ledger, Tag or LedgerMigration, or the names of our constraints"
_MIGRATING = "another process prepares it at the same moment"  # we say IF NOT EXISTS, so that only a race comes here
_TOO_LONG = "it took too long"
_STOPPED = "the transaction was stopped"

_BY_CODE: dict[str, tuple[type[LedgerError], str]] = {
    "Neo.ClientError.Database.DatabaseNotFound": (NoSuchDatabase, "there is no such database"),
    "Neo.ClientError.General.TransactionOutOfMemoryError": (TooLarge, "this needs more memory than the server allows"),
    "Neo.ClientError.Schema.ConstraintAlreadyExists": (Unavailable, _MIGRATING),
    "Neo.ClientError.Schema.ConstraintWithNameAlreadyExists": (SchemaMismatch, _TAKEN),
    "Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists": (Unavailable, _MIGRATING),
    "Neo.ClientError.Schema.IndexAlreadyExists": (SchemaMismatch, _TAKEN),
    "Neo.ClientError.Schema.IndexWithNameAlreadyExists": (Unavailable, _MIGRATING),
    "Neo.ClientError.Security.AuthenticationRateLimit": (Unavailable, "too many wrong passwords, wait a little"),
    "Neo.ClientError.Security.CredentialsExpired": (BadAddress, "this password must be changed first"),
    "Neo.ClientError.Transaction.LockClientStopped": (Unavailable, _STOPPED),
    "Neo.ClientError.Transaction.Terminated": (Unavailable, _STOPPED),
    "Neo.ClientError.Transaction.TransactionTimedOut": (Unavailable, _TOO_LONG),
    "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration": (Unavailable, _TOO_LONG),
    "Neo.DatabaseError.Schema.ConstraintCreationFailed": (SchemaMismatch, _TAKEN),
}

# The first that fits. A DatabaseError is the server's own trouble: what became of a commit is not known then.
_BY_CLASS: tuple[tuple[type[Exception], type[LedgerError], str], ...] = (
    (ForbiddenOnReadOnlyDatabase, ReadOnly, "this database may not be written to"),
    (Forbidden, ReadOnly, "these credentials do not allow it"),
    (AuthError, BadAddress, f"wrong credentials, or none; give them {_CREDENTIALS}"),
    (ConfigurationError, BadAddress, "the driver cannot use this address"),
    (ConstraintError, Corrupt, "there is an entry where none should be"),
    (TransientError, Unavailable, "not now"),
    (DatabaseError, Unavailable, "the server failed"),
    (Neo4jError, StoreError, "the server refused"),
    (ServiceUnavailable, Unavailable, "no answer"),
    (SessionExpired, Unavailable, "no answer"),
    (ConnectionPoolError, Unavailable, "no answer"),
    (TimeoutError, Unavailable, "no answer in time"),
    (OSError, Unavailable, "no answer"),
    (GqlError, StoreError, "the driver failed"),
)


def _told(error: BaseException) -> str:
    """Their own words, as the end of one line: of a server's message the first line tells, of the driver's the last."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionRefusedError):
            return " (connection refused: is it running?)"
        if isinstance(cause, socket.gaierror):
            return f" ({cause.strerror})"
        cause = cause.__cause__
    lines = (error.message or "").splitlines()[:1] if isinstance(error, Neo4jError) else str(error).splitlines()[-1:]
    return f" ({lines[0].strip()})" if lines else ""
