"""The states an edition went through, each from the event that brought it: from the trail of its changes alone.

Only what could be seen is told: no past shows what lasted from one entry of a batch to the next (law 10).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ledger.validity.difference import Happening, happening_of, seen_as_of
from ledger.validity.index import VALID, Index
from ledger.validity.lookup import NONE
from ledger.validity.past import Past
from ledger.validity.verdicts import Reader, reason_of

CAUSES_ROOM = 50_000
"""States looked at for the causes of one answer, so that it does not take long; beyond, `why` tells of each."""


class Room:
    """How many states may still be looked at."""

    def __init__(self, left: int) -> None:
        self.left = left


class Interval(NamedTuple):
    """A reason that held (None: it was fresh) from what brought it to what ended it, with the cause it began with."""

    since: Happening
    until: Happening | None  # None: it goes on
    reason: str | None
    cause: int | None  # None too where there was no room to look for it


class _Step(NamedTuple):
    """What came to hold, and the entry and clock as of which it is first seen."""

    since: Happening
    upto: int
    clock_us: int
    reason: str | None


def intervals(past: Past, edition: int, limit: int, room: Room) -> tuple[int, list[Interval]]:
    """How many there are as of a past, and the last of them, oldest first. The edition must be known then."""
    steps = _steps(past, edition)
    until: Happening | None = None
    told: list[Interval] = []
    for step in reversed(steps[-limit:]):
        told.append(Interval(step.since, until, step.reason, _cause(past.today, edition, step, room)))
        until = step.since
    return len(steps), told[::-1]


def _steps(past: Past, edition: int) -> list[_Step]:
    steps: list[_Step] = []
    for event, behind, state in _states(past, edition):
        reason = reason_of(state & ~VALID, state & VALID)
        upto = seen_as_of(past.today, event.moment_us, behind)
        if steps and (steps[-1].upto, steps[-1].clock_us) == (upto, event.moment_us) and steps[-1].reason != reason:
            steps.pop()  # nobody can have seen it
        if not steps or steps[-1].reason != reason:
            steps.append(_Step(event, upto, event.moment_us, reason))
    return steps


def _states(past: Past, edition: int) -> Iterator[tuple[Happening, int, int]]:
    """Happening, entry behind which it came, and state after it: from birth on."""
    index = past.today
    trail, (before,) = index.changes, index.changes.before
    changes: list[int] = []
    change = trail.last[edition]
    while change != NONE:
        if change < past.changes:
            changes.append(change)
        change = trail.earlier[change]
    changes.reverse()
    states = [before[change] for change in changes] + [past.state(edition)]
    moments = [index.timeline.moment_of(change) for change in changes]
    birth = index.birth[edition]
    born = Happening(index.recorded_us[birth], birth)
    own = sum(happening_of(index, moment) == born for moment in moments)  # it changed with its own entry
    yield born, birth, states[own]
    for place in range(own, len(moments)):
        moment = moments[place]
        if moment not in moments[place + 1 : place + 2]:  # else it lasted within one moment
            yield happening_of(index, moment), index.timeline.seq[moment], states[place + 1]


def _cause(index: Index, edition: int, step: _Step, room: Room) -> int | None:
    if step.reason is None:
        return None
    try:
        return Reader(_Near(index, step.upto, step.clock_us, room)).cause(edition)
    except _NoRoom:
        return None


class _NoRoom(Exception):
    """A cause lies too far."""


class _Near(Past):
    """A past of which not more is looked at than there is room for."""

    def __init__(self, index: Index, upto: int, clock_us: int, room: Room) -> None:
        super().__init__(index, upto, clock_us)
        self._room = room

    def state(self, edition: int) -> int:
        if not self._room.left:
            raise _NoRoom
        self._room.left -= 1
        return super().state(edition)
