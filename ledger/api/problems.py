"""From an error to its HTTP answer; the only place that knows status codes. The body is the same everywhere:

{"code": "not_found", "message": "nothing is recorded under 'pep/9'", "retry": false, "line": 3, …details}
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import orjson

from ledger import errors
from ledger.errors import LedgerError

T = TypeVar("T")

# The nearest class in an error's line of descent counts.
STATUS: dict[type[LedgerError], int] = {
    LedgerError: 500,
    errors.Refused: 409,
    errors.Malformed: 400,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.HeadMoved: 503,
    errors.StoreError: 500,
    errors.NoSuchLedger: 404,
    errors.Unavailable: 503,
    errors.Behind: 503,
    errors.Locked: 503,
    errors.ReadOnly: 403,
    errors.Full: 507,
    errors.ServiceError: 500,
    errors.Unauthorized: 401,
    errors.HostNotAllowed: 421,
    errors.OriginNotAllowed: 403,
    errors.UnsupportedMediaType: 415,
    errors.NoSuchRoute: 404,
    errors.MethodNotAllowed: 405,
    errors.TimedOut: 504,
    errors.Starting: 503,
}

# What stores say in their own words (paths, addresses, drivers) stays in the log; clients are told this.
_OF_THE_STORE: dict[type[LedgerError], str] = {
    errors.StoreError: "the store of this service refuses; its log has the reason",
    errors.Unavailable: "the store of this service does not answer; a write may have been recorded: send it again with "
    "the same idempotency key",
    errors.Locked: "another process holds the store of this service",
    errors.ReadOnly: "the store of this service may be read, not written",
    errors.Full: "the store of this service has no room left; nothing was recorded",
    errors.Corrupt: "what the store of this service holds does not fit its own hashes; `ledger audit` tells more",
    errors.SchemaMismatch: "the store of this service was written by another version",
}
_OPEN = (errors.NoSuchLedger, errors.Behind)
"""Errors of a store that are in our own words alone."""

RETRY_AFTER_S = 1


class Problem(NamedTuple):
    """An error as it goes to the client."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: LedgerError, request_id: str) -> Problem:
    """What a client is told."""
    status = _nearest(error, STATUS)
    body = orjson.dumps(told(error) | ({"request_id": request_id} if status == 500 else {}), default=str)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if allowed := error.details.get("allow"):
        headers.append((b"allow", allowed.encode()))
    if error.retry:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return Problem(status, headers, body)


def told(error: LedgerError) -> dict[str, Any]:
    """The body's object, also for a line among others and for GraphQL: without what only the log may say."""
    if isinstance(error, errors.StoreError) and not isinstance(error, _OPEN):
        place: dict[str, Any] = {name: error.details[name] for name in ("line", "command") if name in error.details}
        message = _nearest(error, _OF_THE_STORE)
        return {"code": error.code, "message": message, "retry": error.retry, **place}
    return error.as_dict()


def _nearest(error: LedgerError, table: dict[type[LedgerError], T]) -> T:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)
