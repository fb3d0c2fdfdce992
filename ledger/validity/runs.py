"""A run: records that follow each other and can be taken in together; what they are, and how many of them are one.

Most of a log is records, and most of those let nothing fall that something rests on: their key is new, or they amend,
or they take the place of a version that is not built upon.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, count
from typing import Any, cast

import numpy as np

from ledger.model.entry import KINDS, Record
from ledger.validity.bulk import Numbers, at_or, numbers, place_before
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_CODES, NONE

RECORD_CODES = {kind: KIND_CODES[name] for name, kind in KINDS.items() if issubclass(kind, Record)}


class Run:
    """Records that follow each other, and what they are to be in the index. Places count from the first of them."""

    def __init__(self, index: Index, records: Sequence[Any]) -> None:
        self.index = index
        self.records = records
        self.size = len(records)
        self.first = records[0].seq
        self.seqs = np.arange(self.first, self.first + self.size, dtype=np.int32)
        self.recorded_us = np.array([record.recorded_at_us for record in records], np.int64)
        self.odd = self.size
        """The first that names what is not there. What to make of it is left to who applies it alone."""
        self._find_editions([record.amends for record in records])
        self._find_keys([record.key for record in records])
        self._find_support([record.because for record in records])

    @cached_property
    def kind(self) -> Numbers:
        return np.frombuffer(bytes([RECORD_CODES[type(record)] for record in self.records]), np.uint8)

    @cached_property
    def moment_us(self) -> Numbers:
        """When each happened; mostly nobody says."""
        told = [record.occurred_at_us for record in self.records]
        if told.count(None) == self.size:
            return self.recorded_us
        latest = np.iinfo(np.int64).max
        return np.minimum([latest if one is None else one for one in told], self.recorded_us)

    # -- what they are ------------------------------------------------------------------------------------------------

    def _find_editions(self, amended: list[int | None]) -> None:
        """The edition of each: one that is born with it, or that of the version it amends."""
        self.born_from = following = len(self.index.flags)
        self.births = np.arange(self.size)
        self.amendments = np.empty(0, np.int64)
        self.edition = np.arange(following, following + self.size, dtype=np.int32)
        if amended.count(None) == self.size:
            return
        editions: list[int] = []
        for place, version in enumerate(amended):
            if version is None:
                editions.append(following)
                following += 1
            elif 0 < version < self.first + place:
                known = version < self.first
                editions.append(self.index.edition[version] if known else editions[version - self.first])
            else:
                editions.append(NONE)
        amends = np.array([version is not None for version in amended])
        self.births, self.amendments = np.flatnonzero(~amends), np.flatnonzero(amends)
        self.edition = np.array(editions, np.int32)
        self._be_odd(np.flatnonzero(self.edition == NONE))

    def _find_keys(self, names: list[str | None]) -> None:
        """The row of each key; the version of the key before, and for those born the edition before."""
        index, rows = self.index, len(self.index.key_names)
        keys: dict[Any, int] = index.keys
        self.new_keys: list[str]
        self.previous = np.zeros(self.size, np.int32)
        self.older = np.full(len(self.births), NONE, np.int32)
        # Each is looked up once, and known from then on: with a million of them a look takes half a microsecond.
        known = list(map(keys.setdefault, names, range(rows, rows + self.size)))
        if len(keys) == rows + self.size and None not in keys and not len(self.amendments):
            self.new_keys = cast(list[str], names)
            self.key = np.arange(rows, rows + self.size, dtype=np.int32)
            return
        keys.pop(None, None)
        self.new_keys = list(
            dict.fromkeys(name for name, row in zip(names, known, strict=True) if row >= rows and name is not None)
        )
        keys.update(zip(self.new_keys, count(rows)))
        self.key = np.array([NONE if name is None else keys[name] for name in names], np.int32)
        self.previous = _latest(self.key, self.seqs, index.newest_of_key, 0)
        self.older = _latest(self.key[self.births], self.edition[self.births], index.youngest, NONE)
        self._be_odd(self.amendments[self.previous[self.amendments] == 0])

    def _find_support(self, because: list[tuple[tuple[int, ...], ...]]) -> None:
        """Justifications, the edges from each, and the editions those lead to."""
        rows = list(chain.from_iterable(because))
        self.justified = np.fromiter(map(len, because), np.int32, self.size)
        self.place_of_row = np.repeat(np.arange(self.size, dtype=np.int32), self.justified)
        self.leaning: Numbers = np.fromiter(map(len, rows), np.int32, len(rows))
        self.row = np.repeat(np.arange(len(rows), dtype=np.int32), self.leaning)
        premises = np.fromiter(chain.from_iterable(rows), np.int64, len(self.row))
        places = self.place_of_row[self.row]
        known = (premises > 0) & (premises < places + self.first)
        self.premise = at_or(self.index.edition, np.where(known, premises, 0), self.edition)
        self._be_odd(places[self.premise == NONE])
        self._order_edges()

    def _order_edges(self) -> None:
        """Edges by what they lean on, and by their place: once each, though premises may be of one edition."""
        self.by_premise = np.sort((self.premise.astype(np.int64) << 32) | np.arange(len(self.premise)))
        order = self.by_premise & 0xFFFFFFFF
        premise, row = self.premise[order], self.row[order]
        again = (premise[1:] == premise[:-1]) & (row[1:] == row[:-1])
        if again.any():
            once = np.ones(len(order), bool)
            once[order[1:][again]] = False
            self.premise, self.row = self.premise[once], self.row[once]
            self.leaning = np.bincount(self.row, minlength=len(self.leaning))
            self._order_edges()

    def _be_odd(self, places: Numbers) -> None:
        if len(places):
            self.odd = min(self.odd, int(places.min()))

    @cached_property
    def overtaking(self) -> Numbers:
        """Of those born, the ones that take the place of an older edition."""
        return np.flatnonzero(self.older != NONE)

    @cached_property
    def overtaken(self) -> Numbers:
        """For each edge the place at which what it leans on is overtaken; `size` if it is not."""
        found = np.full(len(self.premise), self.size)
        older = self.older[self.overtaking]
        if len(older) and len(found):
            order = np.argsort(older)
            place = np.minimum(np.searchsorted(older, self.premise, sorter=order), len(older) - 1)
            there = older[order[place]] == self.premise
            found[there] = self.births[self.overtaking[order[place[there]]]]
        return found

    # -- how many of them are a run -----------------------------------------------------------------------------------

    def length(self) -> int:
        """How many, from the first on, can be taken in together."""
        length = min(self.odd, self._while_time_passes_quietly())
        if length == 0:
            return 0
        for places in (self._that_fell_others(), self._that_settle_what_was_seen()):
            if len(places):
                length = min(length, int(places.min()))
        return length

    def _while_time_passes_quietly(self) -> int:
        """How many until time goes back or something expires."""
        if self.recorded_us[0] < self.index.clock_us:
            return 0
        back = np.flatnonzero(self.recorded_us[1:] < self.recorded_us[:-1])
        forward = self.recorded_us[: back[0] + 1] if len(back) else self.recorded_us
        timers = self.index.timers
        return int(np.searchsorted(forward, timers[0][0])) if timers else len(forward)

    def _that_fell_others(self) -> Numbers:
        """Places of records that take the place of what something rests on, or of more or less than one edition."""
        index, overtaking = self.index, self.overtaking
        if not len(overtaking):
            return overtaking
        places, older = self.births[overtaking], self.older[overtaking]
        key = self.key[places]
        there = older < self.born_from
        wide = np.zeros(len(places), bool)
        wide[there] = numbers(index.first_use)[older[there]] != NONE
        wide[there] |= numbers(index.current)[key[there]] != older[there]
        wide |= [one in index.superseded_by for one in key.tolist()]
        used = self.overtaken[self.place_of_row[self.row] <= self.overtaken]
        return np.concatenate([places[wide], used[used < self.size]])

    def _that_settle_what_was_seen(self) -> Numbers:
        """Places of amendments that may end a divergence, or are of an earlier moment than what is known."""
        places = self.amendments
        if not len(places):
            return places
        late = self.moment_us[places] < self.checked[0]
        if self.index.divergences:
            late |= [edition in self.index.divergences for edition in self.edition[places].tolist()]
        return places[late]

    @cached_property
    def checked(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Of the editions amended: `checked_us`, `checked_by` and `newest` before, and the amendment before or NONE."""
        index, places = self.index, self.amendments
        edition = self.edition[places]
        before = place_before(edition)
        found = []
        for column, own in (
            (index.checked_us, self.moment_us),
            (index.checked_by, self.seqs),
            (index.newest, self.seqs),
        ):
            known = at_or(column, np.maximum(edition, 0), own[self.births])
            found.append(np.where(before == NONE, known, own[places[before]]))
        return (*found, before)  # type: ignore[return-value]

    def forget(self) -> None:
        """It is not taken in as it is: its new keys are not known after all."""
        for name in self.new_keys:
            del self.index.keys[name]


def _latest(keys: Numbers, own: Numbers, column: array[int], none: int) -> Numbers:
    """For each record what the last one before it of the same key has; else what a column has of the key, or `none`."""
    before = place_before(keys)
    found = np.where(before == NONE, none, own[before]).astype(np.int32)
    known = (before == NONE) & (keys != NONE) & (keys < len(column))
    found[known] = numbers(column)[keys[known]]
    return found
