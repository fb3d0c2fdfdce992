"""Requests and answers, and the steps a call takes: what is said, without the wire."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from ledger.errors import Malformed, ServiceError

T = TypeVar("T")

JSON, JSON_LINES, EVENTS = "application/json", "application/x-ndjson", "text/event-stream"


@dataclass(frozen=True, slots=True)
class Request:
    """A question to the service. It can be asked again, unless its body comes in pieces."""

    method: str
    path: str  # behind that of the ledger; with a slash in front, behind that of the service
    body: bytes | Iterable[bytes] | None = None
    type: str = JSON
    accept: str = JSON
    key: str | None = None  # the idempotency key of what it writes
    takes_long: bool = False  # no time limit, as long as the other side lives


class Answer(NamedTuple):
    """What the service said, if it was no error."""

    status: int
    revision: str | None
    body: bytes


class Waiting(NamedTuple):
    """Something that may have to wait for others, as reading from a pipe does."""

    function: Callable[[], Any]


Steps = Generator[Request | Waiting, Any, T]
"""A call, step by step: an engine takes each step and sends back what came of it."""


def ask(request: Request) -> Steps[Answer]:
    """The answer to a request. Raises LedgerError."""
    answer: Answer = yield request
    return answer


def wait_for(function: Callable[[], T]) -> Steps[T]:
    """What a function gives that may have to wait."""
    found: T = yield Waiting(function)
    return found


def read(path: str, *, takes_long: bool = False, **parameters: Any) -> Request:
    """A question about the ledger; parameters that are None are not given. Raises Malformed."""
    return Request("GET", with_query(path, **parameters), takes_long=takes_long)


def commands(lines: bytes, *, atomic: bool = False, key: str | None = None) -> Request:
    """What records lines: each a batch of its own, or all of them one."""
    path = "commands" if atomic else "commands?atomic=false"
    return Request("POST", path, lines, JSON_LINES, accept=JSON_LINES, key=key)


def decoded(text: bytes, kind: type[T]) -> T:
    """The object of an answer. Raises ServiceError for what is none."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ServiceError(f"that is not the answer of a ledger's service: {error}") from error


def with_query(path: str, **parameters: Any) -> str:
    """A path with its parameters, those that are None left out. Raises Malformed for what is no text."""
    given = {name: _told(name, value) for name, value in parameters.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


def _told(name: str, value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise Malformed(f"{name}: not text that UTF-8 can hold: {error}", field=name) from error
    if isinstance(value, datetime):
        return value.isoformat()
    return [_told(name, item) for item in value] if isinstance(value, list | tuple) else value
