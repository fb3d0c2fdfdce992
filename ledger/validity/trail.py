"""What was before: the earlier values of whatever changes, so that a past moment is looked up and never replayed.

Where the log of changes stood at each moment is told by `Timeline`; what stood at a place then, by `Trail` (numbers, in
columns), `Fact` (rare things, in a dict) and `Standing` (those of which several stand at a place). All grow with the
changes, and are cut when changes are undone.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from operator import itemgetter
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Dated = TypeVar("Dated", bound=tuple[Any, ...])
"""What begins with the entry that brought it."""

NONE = -1

WIDE = 2_000
"""So many changes at once are made faster by numpy (`ledger.validity.bulk`)."""


class Trail:
    """The changes of some columns, in order: at which place, and what they held there before."""

    def __init__(self, *typecodes: str) -> None:
        self.last = array("i")  # by place: its latest change, or NONE
        self.place = array("i")  # by change
        self.earlier = array("i")  # the change of the same place before
        self.before = tuple(array(typecode) for typecode in typecodes)

    def __len__(self) -> int:
        return len(self.place)

    def note(self, place: int, *before: int) -> None:
        self.earlier.append(self.last[place])
        self.last[place] = len(self.place)
        self.place.append(place)
        for column, value in zip(self.before, before, strict=True):
            column.append(value)

    def change_after(self, place: int, upto: int) -> int:
        """The first change of a place after the first `upto` changes of all; NONE if it still is as it was then."""
        change, found = self.last[place], NONE
        while change >= upto:
            change, found = self.earlier[change], change
        return found

    def stood(self, since: int, upto: int | None = None) -> dict[int, int]:
        """By place what the first column held before the changes from `since` on, up to `upto`; in no order."""
        between = slice(since, upto)
        places, before = self.place[between], self.before[0][between]
        # Of several changes of a place the first one counts. Put in last, it stays.
        return dict(zip(reversed(places), reversed(before), strict=True))

    def cut(self, upto: int) -> None:
        """Forget all changes but the first `upto`; the values are put back by the caller."""
        last, place, earlier = self.last, self.place, self.earlier
        if len(place) - upto > WIDE:
            from ledger.validity.bulk import numbers, put_back  # numpy takes a while to load

            put_back(last, numbers(place)[upto:], numbers(earlier)[upto:])
        else:
            for change in range(len(place) - 1, upto - 1, -1):
                last[place[change]] = earlier[change]
        for column in (place, earlier, *self.before):
            del column[upto:]


class Fact(dict[int, T], Generic[T]):
    """A dict that knows what was in it: of each place the values before its changes, with the moment of the change.

    It changes by `Index._put` and `_drop` alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.earlier: dict[int, list[tuple[int, T | None]]] = {}

    def note(self, place: int, moment: int) -> None:
        self.earlier.setdefault(place, []).append((moment, super().get(place)))

    def forget(self, place: int) -> None:
        """The latest change has been undone."""
        self.earlier[place].pop()

    def was(self, place: int, moments: int) -> T | None:
        """What stood at a place when so many moments had been."""
        for moment, before in self.earlier.get(place, ()):
            if moment >= moments:
                return before
        return super().get(place)


class Standing(dict[int, list[Dated]], Generic[Dated]):
    """Of each place what stands there, in the order it came. It comes and goes one by one, and what is gone stays so.

    Only what came and what went is written down, so that this grows with the changes, however much stands. It changes
    by `Index._add`, `_lift_from` and `rollback` alone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.changes: dict[int, list[tuple[int, Dated, bool]]] = {}  # the moment, what, and whether it came

    def add(self, place: int, one: Dated, moment: int) -> None:
        self.setdefault(place, []).append(one)
        self.changes.setdefault(place, []).append((moment, one, True))

    def lift(self, place: int, one: Dated, moment: int) -> None:
        self._remove(place, one)
        self.changes[place].append((moment, one, False))

    def undo(self, place: int) -> None:
        """Undo the latest change."""
        changes = self.changes[place]
        _, one, came = changes.pop()
        if not changes:
            del self.changes[place]
        if came:
            self._remove(place, one)
        else:
            insort(self.setdefault(place, []), one)

    def was(self, place: int, moments: int) -> list[Dated] | None:
        """What stood at a place when so many moments had been."""
        changes = self.changes.get(place, [])
        upto = bisect_left(changes, moments, key=itemgetter(0))
        return self.get(place) if upto == len(changes) else _left(changes[:upto])

    def fill(self, changes: dict[int, list[tuple[int, Dated, bool]]]) -> None:
        """Make all these changes, where none were made."""
        self.changes.update(changes)
        self.update({place: left for place, each in changes.items() if (left := _left(each))})

    def _remove(self, place: int, one: Dated) -> None:
        standing = self[place]
        del standing[bisect_left(standing, one)]
        if not standing:
            del self[place]


def _left(changes: list[tuple[int, Dated, bool]]) -> list[Dated]:
    """What came and has not gone."""
    gone = {one for _, one, came in changes if not came}
    return [one for _, one, came in changes if came and one not in gone]


class Timeline:
    """The moments at which anything changed, in order: an entry, or time that passed behind one.

    Both the entry and the clock never decrease along it; so a look at the past, whose clock is part of the question,
    is a position here.
    """

    def __init__(self) -> None:
        self.seq = array("i")
        self.clock_us = array("q")
        self.changes = array("i")  # so many states had changed before
        self.checks = array("i")  # so many `checked_us`

    def __len__(self) -> int:
        return len(self.seq)

    def upto(self, seq: int, clock_us: int) -> int:
        """How many of the moments had been as of an entry and a clock."""
        return min(bisect_right(self.seq, seq), bisect_right(self.clock_us, clock_us))

    def moment_of(self, change: int) -> int:
        """The moment that a change of state belongs to."""
        return bisect_right(self.changes, change) - 1

    def cut(self, upto: int) -> None:
        del self.seq[upto:], self.clock_us[upto:], self.changes[upto:], self.checks[upto:]
