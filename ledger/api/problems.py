"""From an error to its HTTP answer; the only place that knows status codes. The body is the same everywhere:

{"code": "not_found", "message": "nothing is recorded under 'pep/9'", "retry": false, "line": 3, …details}
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from ledger import errors
from ledger.errors import LedgerError

# The nearest class in an error's line of descent counts.
STATUS: dict[type[LedgerError], int] = {
    LedgerError: 500,
    errors.Refused: 409,
    errors.Malformed: 400,
    errors.NotFound: 404,
    errors.NoSuchTag: 404,
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
    errors.Overloaded: 503,
    errors.Starting: 503,
    errors.Stopping: 503,
}

RETRY_AFTER_S = 1


class Problem(NamedTuple):
    """An error as it goes to the client."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def problem(error: LedgerError, request_id: str) -> Problem:
    """What a client is told."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body = orjson.dumps(error.outward() | ({"request_id": request_id} if status == 500 else {}), default=str)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if allowed := error.details.get("allow"):
        headers.append((b"allow", allowed.encode()))
    if error.retry:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    return Problem(status, headers, body)
