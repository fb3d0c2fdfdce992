"""The index as it was: the same columns, looked up as of an earlier entry and clock (law 12).

Nothing is replayed and nothing copied. What never changes is the index's own; of the rest the trail tells what stood
there then, and what came later is passed over: chains begin with the newest.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from functools import cached_property, partial
from operator import attrgetter
from typing import Any

from ledger.validity.index import VALID, Index
from ledger.validity.lookup import NONE, WRONG_FROM_BIRTH, Column, Lookup
from ledger.validity.rolls import FEW
from ledger.validity.trail import Fact, Standing, Trail

_UNCHANGING = (
    *("kind", "subject", "edition", "version", "previous", "digest", "key_of", "birth", "older"),
    *("supports", "entry_of", "next_justification", "edges_from", "premise", "leans", "next_use"),
    *("event_entry", "next_event", "key_names", "key_kind", "added", "rolls"),
)
_CHANGING_FACTS = ("withdrawals", "support_withdrawals", "superseded_by", "limits", "divergences")


class _Then:
    """A column or dict of which each place is looked up when it is asked for; None: nothing stood there."""

    __slots__ = ("_of",)

    def __init__(self, of: Callable[[Any], Any]) -> None:
        self._of = of

    def __getitem__(self, place: Any) -> Any:
        found = self._of(place)
        if found is None:
            raise KeyError(place)
        return found

    def get(self, place: Any, default: Any = None) -> Any:
        found = self._of(place)
        return default if found is None else found


class Past(Lookup):
    """A ledger's validity as of entry `upto`, the last of its batch, and a clock not before that was recorded.

    Good for as long as the index does not change: its owner holds the lock.
    """

    def __init__(self, index: Index, upto: int, clock_us: int) -> None:
        self.today = index
        self.upto = upto
        self.clock_us = clock_us
        self.memo = {}
        self.causes = {}
        self._checked_floor = {}
        line = index.timeline
        self._moments = moments = line.upto(upto, clock_us)
        later = moments < len(line)
        self.changes = line.changes[moments] if later else len(index.changes)
        self._checks = line.checks[moments] if later else len(index.checks)

    def __getattr__(self, name: str) -> Any:
        """A column, made when it is first asked for: a check of what has not changed since needs none."""
        make = _COLUMNS.get(name)
        if make is None:
            raise AttributeError(name)
        column = make(self)
        setattr(self, name, column)
        return column

    @cached_property
    def key_count(self) -> int:  # type: ignore[override]
        """Keys have their rows in the order of their first entries."""
        return bisect_left(range(self.today.key_count), True, key=lambda key: not self.newest_of_key[key])

    @cached_property
    def acted_us(self) -> dict[int, int]:  # type: ignore[override]
        return {edition: us for edition, us in self.today.acted_us.items() if self.birth[edition] <= self.upto}

    def state(self, edition: int) -> int:
        """The flags of an edition, and whether it was VALID."""
        index = self.today
        change = index.changes.change_after(edition, self.changes)
        if change == NONE:
            return index.state(edition)
        return index.changes.before[0][change]

    def _before(self, trail: Trail, which: int, upto: int, today: Any, place: int) -> int:
        change = trail.change_after(place, upto)
        value: int = today[place] if change == NONE else trail.before[which][change]
        return value

    def _newest(self, edition: int) -> int:
        seq = self.today.newest[edition]
        if seq > self.upto:
            seq = self._newest_of_key(self.key_of[edition])  # its own amendments came since
        while self.edition[seq] != edition:
            seq = self.previous[seq]
        return seq

    def _newest_of_key(self, key: int) -> int:
        seq, upto, previous, left = self.today.newest_of_key[key], self.upto, self.previous, FEW
        while seq > upto:
            if not left:
                return self.rolls.of(key).newest(upto)
            seq = previous[seq]
            left -= 1
        return seq

    def _younger(self, edition: int) -> int:
        younger = self.today.younger[edition]
        return younger if younger != NONE and self.birth[younger] <= self.upto else NONE

    def _youngest(self, key: int) -> int:
        edition, birth, upto, left = self.today.youngest[key], self.birth, self.upto, FEW
        while edition != NONE and birth[edition] > upto:
            if not left:
                return self._youngest_long_ago(key)
            edition = self.older[edition]
            left -= 1
        return edition

    def _youngest_long_ago(self, key: int) -> int:
        """From the newest version of then on: that is mostly one of it."""
        seq = self._newest_of_key(key)
        edition = self.edition[seq] if seq else NONE
        while edition != NONE and (younger := self._younger(edition)) != NONE:
            edition = younger
        return edition

    def _current(self, key: int) -> int:
        edition = self._youngest(key)
        while edition != NONE and self.state(edition) & WRONG_FROM_BIRTH:
            edition = self.older[edition]
        return edition

    def _first_justification(self, edition: int) -> int:
        return self._known(self.today.first_justification[edition], self.next_justification, self.entry_of)

    def _first_use(self, edition: int) -> int:
        edge = self.today.first_use[edition]
        while edge != NONE and self.entry_of[self.leans[edge]] > self.upto:
            edge = self.next_use[edge]
        return edge

    def _first_event(self, edition: int) -> int:
        return self._known(self.today.first_event[edition], self.next_event, self.event_entry)

    def _known(self, row: int, next_older: Column, entry: Column) -> int:
        """The newest row of a chain, from `row` on, that came with an entry known then; or NONE."""
        while row != NONE and entry[row] > self.upto:
            row = next_older[row]
        return row

    def _key(self, name: str) -> int | None:
        key = self.today.keys.get(name)
        return None if key is None or not self._newest_of_key(key) else key


def _facts(past: Past, name: str) -> _Then:
    fact: Fact[Any] | Standing[Any] = getattr(past.today, name)
    moments = past._moments
    return _Then(lambda place: fact.was(place, moments))


_COLUMNS: dict[str, Callable[[Past], Any]] = {
    "flags": lambda past: _Then(lambda edition: past.state(edition) & ~VALID),
    "valid": lambda past: _Then(lambda edition: past.state(edition) >> 7),
    "checked_us": lambda past: _Then(partial(past._before, past.today.checks, 0, past._checks, past.today.checked_us)),
    "checked_by": lambda past: _Then(partial(past._before, past.today.checks, 1, past._checks, past.today.checked_by)),
    "newest": lambda past: _Then(past._newest),
    "younger": lambda past: _Then(past._younger),
    "youngest": lambda past: _Then(past._youngest),
    "current": lambda past: _Then(past._current),
    "newest_of_key": lambda past: _Then(past._newest_of_key),
    "fallen": lambda past: _Then(lambda row: sum(not past.valid[premise] for premise in past.premises(row))),
    "standing": lambda past: _Then(lambda edition: len(past.standing_justifications(edition))),
    "first_justification": lambda past: _Then(past._first_justification),
    "first_use": lambda past: _Then(past._first_use),
    "first_event": lambda past: _Then(past._first_event),
    "keys": lambda past: _Then(past._key),
}
_COLUMNS |= {name: partial(_facts, name=name) for name in _CHANGING_FACTS}
_COLUMNS |= {name: attrgetter(f"today.{name}") for name in _UNCHANGING}
