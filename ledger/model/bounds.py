"""Whole numbers that are asked for: how many, how far, after which. One check for all doors."""

from __future__ import annotations

from typing import Any

from ledger.errors import Malformed
from ledger.model.impact import IMPACT_NAMES_MAX
from ledger.model.view import GRAPH_NODES_MAX, LISTED_MAX


def check_number(value: Any, field: str, *, least: int = 0, most: int | None = None) -> None:
    """Raises Malformed, naming the field, for what is no whole number within these bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Malformed(f"{field} is a whole number, not {value!r}", field=field)
    if value < least:
        raise Malformed(f"{field} is at least {least}, not {value}", field=field)
    if most is not None and value > most:
        raise Malformed(f"{field} is at most {most:,}, not {value:,}", field=field)


def check_page(after: Any, limit: Any) -> None:
    """Of `entries`: as many as are asked for, none too."""
    check_number(after, "after")
    check_number(limit, "limit")


def check_listed(limit: Any) -> None:
    """Of the lists of `diff` and `compare`."""
    check_number(limit, "limit", least=1, most=LISTED_MAX)


def check_walk(depth: Any, limit: Any) -> None:
    """Of `causes` and `consequences`."""
    if depth is not None:
        check_number(depth, "depth")
    check_number(limit, "limit", least=1, most=GRAPH_NODES_MAX)


def check_names(limit: Any) -> None:
    """Of the lists of `impact` and of a planned withdrawal: none is enough for who wants the counts."""
    check_number(limit, "limit", most=IMPACT_NAMES_MAX)
