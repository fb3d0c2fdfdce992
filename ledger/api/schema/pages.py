"""Keyset pages: a cursor says which entry came last, so a page costs the same wherever it lies, and none is missed."""

from __future__ import annotations

import base64
import binascii

import strawberry

from ledger.api.schema.desk import Desk
from ledger.api.schema.entries import Entry, told
from ledger.errors import Malformed


@strawberry.type(description="Where a page lies.")
class PageInfo:
    has_next_page: bool = told("Whether more comes after it.")
    has_previous_page: bool = told("Whether it was asked for with a cursor, so that something may come before it.")
    start_cursor: str | None = told("The cursor of its first entry.")
    end_cursor: str | None = told("The cursor of its last entry: `after` for the next page.")


@strawberry.type(description="An entry and its place in the list.")
class EntryEdge:
    cursor: str = told("Its place. Opaque; it stays good while the list grows.")
    node: Entry = told("The entry.")


@strawberry.type(description="A page of entries.")
class EntryConnection:
    edges: list[EntryEdge] = told("The entries with their places.")
    nodes: list[Entry] = told("The entries.")
    page_info: PageInfo = told("Where this page lies.")


Place = tuple[int, ...]
"""What a list is sorted by, and a cursor holds: numbers only."""


async def page(desk: Desk, places: list[Place], size: int, after: str | None) -> EntryConnection:
    """A page of those places; one more than `size` was looked for, and says that more comes. The last number of a
    place is that of the entry."""
    shown = places[:size]
    cursors = [cursor_of(place) for place in shown]
    nodes = await desk.entries(place[-1] for place in shown)
    return EntryConnection(
        edges=[EntryEdge(cursor=cursor, node=node) for cursor, node in zip(cursors, nodes, strict=True)],
        nodes=nodes,
        page_info=PageInfo(
            has_next_page=len(places) > size,
            has_previous_page=after is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
    )


def cursor_of(place: Place) -> str:
    """The cursor of a place."""
    return base64.urlsafe_b64encode(".".join(map(str, place)).encode()).decode().rstrip("=")


def place_of(cursor: str | None, length: int) -> Place | None:
    """The place a cursor holds. Raises Malformed for what is no cursor of such a list."""
    if cursor is None:
        return None
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        place = tuple(map(int, text.split(".")))
    except (binascii.Error, ValueError):
        place = ()
    if len(place) != length or cursor_of(place) != cursor:
        raise Malformed(f"{cursor[:80]!r} is no cursor of this list; take endCursor of the page before", field="after")
    return place
