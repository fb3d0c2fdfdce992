"""Changes: the subscription of the service's GraphQL, as server-sent events, without gap over lost connections."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from ledger.client.exchange import EVENTS, Request
from ledger.errors import LedgerError, ServiceError, Unavailable, error_told
from ledger.model.change import Change

PATH = "/graphql"

TRIES_MAX = 10
"""Streams in a row that end without a word; some 10 s."""

_MENTIONS = "{ count first { id: entryId kind ref } }"
_TURNS = "{ count first { id: entryId ref cause: causeId } }"
SUBSCRIPTION = f"""subscription ($ledger: String!, $after: String) {{
  changes(ledger: $ledger, after: $after) {{
    revision recorded_at: recordedAt
    recorded {_MENTIONS} withdrawn {_MENTIONS} reinstated {_MENTIONS} expired {_MENTIONS} noted {_MENTIONS}
    fell {_TURNS} revived {_TURNS}
  }}
}}"""
"""Named as in `Change`."""


class Following:
    """Where a watcher stands, and the events he reads: `feed` takes them line by line."""

    def __init__(self, ledger: str, after: str) -> None:
        self.ledger = ledger
        self.after = after
        self._event: str | None = None
        self._in_vain = 0

    def request(self) -> Request:
        """The subscription from where he stands."""
        question = {"query": SUBSCRIPTION, "variables": {"ledger": self.ledger, "after": self.after}}
        return Request("POST", PATH, orjson.dumps(question), accept=EVENTS)

    def feed(self, line: bytes) -> Change | None:
        """The change a line tells, if it does. Raises LedgerError where the service tells one."""
        field, _, value = line.rstrip(b"\r\n").partition(b": ")
        if not field and value:  # a comment is a sign of life
            self._in_vain = 0
        elif field == b"event":
            self._event = value.decode()
        elif field == b"data" and self._event == "next":
            change = _change(value)
            self.after, self._in_vain = change.revision, 0
            return change
        return None

    def pause_s(self) -> float:
        """How long to wait before asking again, as the stream has ended. Raises Unavailable if it never says a word."""
        self._in_vain += 1
        if self._in_vain > TRIES_MAX:
            raise Unavailable("the service ends its stream of changes each time before it says anything")
        return random.uniform(0, min(2.0, 0.05 * 2**self._in_vain))


def _change(data: bytes) -> Change:
    try:
        told = orjson.loads(data)
        if errors := told.get("errors"):
            raise _error(errors[0])
        return msgspec.convert(told["data"]["changes"], Change)
    except (ValueError, KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ServiceError(f"that is not the change of a ledger: {error}") from error


def _error(told: Mapping[str, Any]) -> LedgerError:
    return error_told({"message": told.get("message"), **told.get("extensions", {})})
