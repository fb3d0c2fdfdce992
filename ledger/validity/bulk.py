"""Many places of a column at once, by numpy over the column itself.

Nothing is copied. A column cannot grow while numpy looks at it, so views are made where they are used and not kept.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from ledger.validity.lookup import NONE

Numbers = npt.NDArray[Any]


def numbers(column: array[int] | bytearray) -> Numbers:
    """A column as numpy sees it, without copying."""
    return np.frombuffer(column, np.uint8 if isinstance(column, bytearray) else column.typecode)


def put_back(column: array[int] | bytearray, places: Any, before: Any) -> None:
    """Undo changes of a column, given in the order they were made: of each place the first counts."""
    numbers(column)[places[::-1]] = before[::-1]


def place_before(groups: Numbers) -> Numbers:
    """For each place the last one before it of the same group; NONE for the first of a group, and those of none."""
    order = np.argsort(groups, kind="stable")
    ordered = groups[order]
    again = (ordered[1:] == ordered[:-1]) & (ordered[1:] != NONE)
    found = np.full(len(groups), NONE)
    found[order[1:][again]] = order[:-1][again]
    return found


def at_or(column: Any, places: Numbers, own: Numbers) -> Numbers:
    """What a column holds at these places; those behind its end are of `own`, which is to be put there."""
    size = len(column)
    found = np.empty(len(places), own.dtype)
    there = places < size
    found[~there] = own[places[~there] - size]
    if there.any():
        found[there] = numbers(column)[places[there]]
    return found


def extend(column: Any, values: Numbers) -> None:
    if isinstance(column, bytearray):
        column += values.astype(np.uint8).tobytes()
    else:
        column.frombytes(values.astype(column.typecode).tobytes())
