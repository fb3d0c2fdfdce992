"""Waves that are wide: what thousands of editions have in common is done at once, by numpy over the same columns.

Plain Python is faster while a wave is narrow (numpy takes a microsecond to begin anything), numpy where it is wide: a
fall of 100,000 editions takes a sixth to a tenth of the time. A column cannot grow while numpy looks at it, so each
function here lets go of what it looked at before it returns.

Imported when the first wide wave comes: most processes that look at a ledger once never see one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ledger.validity.bulk import numbers, put_back
from ledger.validity.lookup import NONE, Withdrawal
from ledger.validity.trail import Standing, Trail

Rows = npt.NDArray[np.int32]

FEW = 50
"""So many edges are followed as quickly one by one."""


class Columns(Protocol):
    """What a wave runs over, of an `Index`."""

    flags: bytearray
    valid: bytearray
    standing: array[int]
    supports: array[int]
    fallen: array[int]
    entry_of: array[int]
    first_use: array[int]
    leans: array[int]
    next_use: array[int]
    support_withdrawals: Standing[Withdrawal]
    changes: Trail
    dirty: dict[int, int] | None

    def uses_from(self, edge: int) -> Iterator[int]: ...

    def note_steps(self, column: array[int], places: list[int], step: int) -> None: ...


def spread(index: Columns, front: list[int], rows: list[int], valid: bool, *, until: int) -> list[int]:
    """Carry a wave on from the editions of `front`, whose validity is to be set, until it is narrow again.

    `rows`: justifications that lean on an edition set before, and were not counted yet. Returns the next front,
    of at most `until`.
    """
    while len(front) + len(rows) > until:
        set_valid(index, front, valid)
        front = _count(index, rows + _leaning(index, front), valid)
        rows = []
    return front


def _leaning(index: Columns, editions: list[int]) -> list[int]:
    """Rows of the justifications that lean on these editions: a step along all their edges at once, while it pays."""
    leans, next_use = numbers(index.leans), numbers(index.next_use)
    edges = numbers(index.first_use)[np.array(editions, np.int32)]
    rows: list[int] = []
    while len(edges := edges[edges != NONE]) > FEW:
        rows += leans[edges].tolist()
        edges = next_use[edges]
    return rows + [row for edge in edges.tolist() for row in index.uses_from(edge)]


def set_valid(index: Columns, editions: list[int], valid: bool, noted: int = 0) -> None:
    """Set the validity of editions; the states of the first `noted` have been written down."""
    places = np.array(editions, np.int32)
    column = numbers(index.valid)
    states = numbers(index.flags)[places[noted:]] | (column[places[noted:]] << 7)
    column[places] = valid
    if index.dirty is not None:
        index.dirty.update(dict.fromkeys(editions, 0))
    changes = index.changes
    note(changes.last, changes.place, changes.earlier, places[noted:])
    changes.before[0].frombytes(states.astype(np.uint8).tobytes())


def note(last: array[int], place: array[int], earlier: array[int], places: Rows) -> None:
    """`Trail.note` for many places, all different; what they held before is left to the caller."""
    start = len(place)
    latest = numbers(last)
    earlier.frombytes(latest[places].tobytes())
    latest[places] = np.arange(start, start + len(places), dtype=np.int32)
    place.frombytes(places.tobytes())


def _count(index: Columns, leaning: list[int], valid: bool) -> list[int]:
    """Count what fell or rose in justifications and editions; the editions whose validity changes by that."""
    step = -1 if valid else 1
    rows, premises = np.unique(np.array(leaning, np.int32), return_counts=True)
    fallen = numbers(index.fallen)
    before = fallen[rows]
    after = fallen[rows] = before + step * premises.astype(np.int32)
    turned = rows[(after == 0) if valid else (before == 0)]
    if index.support_withdrawals:
        entries = np.fromiter(index.support_withdrawals, np.int32, len(index.support_withdrawals))
        turned = turned[~np.isin(numbers(index.entry_of)[turned], entries)]
    supported = numbers(index.supports)[turned]
    editions, justifications = np.unique(supported, return_counts=True)
    standing = numbers(index.standing)
    stood = standing[editions]
    stands = standing[editions] = stood - step * justifications.astype(np.int32)
    index.note_steps(index.fallen, leaning, step)
    index.note_steps(index.standing, supported.tolist(), -step)
    alone = (stood == 0) if valid else (stands == 0)
    turning: list[int] = editions[alone & (numbers(index.flags)[editions] == 0)].tolist()
    return turning


def take_back(column: array[int], places: list[int], step: int) -> None:
    """Undo that `step` was added at each of these places, as often as it is named."""
    np.subtract.at(numbers(column), np.array(places, np.int32), step)


def undo_states(index: Columns, upto: int) -> None:
    """Put back the states that editions had before all changes but the first `upto`."""
    places = numbers(index.changes.place)[upto:]
    states = numbers(index.changes.before[0])[upto:]
    put_back(index.flags, places, states & 0x7F)
    put_back(index.valid, places, states >> 7)


def changed(index: Columns, since: int, editions: int) -> tuple[list[int], list[int]]:
    """Of the first `editions`, those that fell and those that revived by the changes from `since` on."""
    places, first = np.unique(numbers(index.changes.place)[since:], return_index=True)
    before = numbers(index.changes.before[0])[since:][first] >> 7
    turned = before != numbers(index.valid)[places]
    there = turned & (places < editions)
    fell, revived = places[there & (before == 1)], places[there & (before == 0)]
    return fell.tolist(), revived.tolist()
