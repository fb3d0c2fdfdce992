"""Entries of a log into an index, and what is said when one of them makes no sense there."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.errors import Corrupt
from ledger.model.entry import Entry
from ledger.validity.index import Index

NONSENSE = (ValueError, LookupError, OverflowError)
"""What comes of an entry that no ledger writes: a digest that is none, a premise that is nowhere, a large number."""


def apply_each(index: Index, entries: Sequence[Entry]) -> None:
    """One by one. Raises Corrupt, with the entry; what the index holds then is half of it."""
    seq = 0
    try:
        for entry in entries:
            seq = entry.seq
            index.apply(entry)
    except NONSENSE as error:
        raise Corrupt(f"entry {seq} cannot be read: {told(error)}") from error


def told(error: Exception) -> str:
    """What went wrong, for whoever looks into it: a KeyError alone says no more than the key."""
    return f"{type(error).__name__}: {error}"
