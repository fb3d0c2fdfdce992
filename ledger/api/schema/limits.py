"""What one operation may ask for. Every refusal names the limit, its value, and what was asked."""

from __future__ import annotations

import sys
from collections.abc import Sized
from dataclasses import dataclass

from ledger.errors import TooLarge
from ledger.model.bounds import check_number


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of GraphQL. The figures allow the introspection of every client, and pages of some hundred entries."""

    query_bytes_max: int = 32_768
    tokens_max: int = 4_000
    depth_max: int = 20  # introspection by GraphiQL goes 15 deep
    aliases_max: int = 50
    cost_max: int = 50_000  # fields in the answer, estimated: 0.3 to 0.5 s of work
    page_max: int = 500
    page_default: int = 50
    refs_max: int = 5_000
    commands_max: int = 10_000
    nodes_max: int = 1_000  # of `causes` and `consequences`
    entries_max: int = 10_000  # loaded for one operation
    contents_bytes_max: int = 32 << 20  # loaded for one operation, as JSON
    documents_cached: int = 256  # parsed and validated
    streams_max: int = 100  # operations at once on one WebSocket
    send_s_max: float = 30.0  # for a client to take a message


DEFAULTS = Limits()


class Budget:
    """What one operation has loaded so far."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries = 0
        self._contents_bytes = 0

    def take_entries(self, count: int) -> None:
        """Raises TooLarge when it is over."""
        self._entries += count
        within("entries", self._entries, self._limits.entries_max)

    def take_contents(self, size_bytes: int) -> None:
        """Raises TooLarge when it is over."""
        self._contents_bytes += size_bytes
        within("contents_bytes", self._contents_bytes, self._limits.contents_bytes_max)


def within(limit: str, value: int, most: int, field: str | None = None) -> int:
    """The value, if it is not over the limit. Raises TooLarge, naming both."""
    if value > most:
        raise TooLarge(
            f"{_TOLD[limit]} is {value:,}, the limit is {most:,}", limit=limit, most=most, value=value, field=field
        )
    return value


def not_over(limit: str, items: Sized, most: int, field: str) -> None:
    """The same for how many were given."""
    within(limit, len(items), most, field)


def page_size(asked: int | None, limits: Limits, field: str = "first", *, most: int = sys.maxsize) -> int:
    """How many a page holds; no more than the server allows, and than there are of it. Raises TooLarge, Malformed."""
    if asked is None:
        return limits.page_default
    check_number(asked, field, least=1)
    return within("page", asked, min(limits.page_max, most), field)


_TOLD = {
    "query_bytes": "the length of the query in bytes",
    "depth": "the depth of the operation",
    "aliases": "the number of aliases",
    "cost": "the estimated cost of the operation, in fields,",
    "page": "the size of the page",
    "refs": "the number of references",
    "commands": "the number of commands",
    "nodes": "the number of nodes",
    "entries": "the number of entries read by this operation",
    "contents_bytes": "the size of the contents read by this operation, in bytes,",
}
