"""What a batch does to a ledger as a whole: measured where it is only supposed, and again where it is done."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple

import orjson

from ledger.model.entry import Entry, Event
from ledger.service.drafts import Outcome
from ledger.validity.graph import acts_to_repair, fallen_from
from ledger.validity.index import VALID, Index
from ledger.validity.past import Past

_TURN = Struct(">IBB")


class Measured(NamedTuple):
    """Editions that fell and revived, and acts that need repair and did not before, each in the order born.

    `digest` is that of exactly this, with the states of all that changed and what came of each command. It does not
    depend on the numbers that new entries get: what others record meanwhile changes it only if it changes what happens.
    """

    fell: list[int]
    revived: list[int]
    to_repair: list[int]
    digest: str


class Measure:
    """Laid on a journalling index before a batch is judged, and read when it has been."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self._changes = len(index.changes)
        self._editions = len(index.flags)
        self._upto = index.upto

    def read(self, entries: Iterable[Entry], outcomes: Sequence[Outcome]) -> Measured:
        index = self.index
        was = {
            edition: state for edition, state in index.changes.stood(self._changes).items() if edition < self._editions
        }
        turns = [(edition, was[edition], index.state(edition)) for edition in sorted(was)]
        turns = [turn for turn in turns if turn[1] != turn[2]]
        fell = [edition for edition, before, after in turns if before & VALID and not after & VALID]
        revived = [edition for edition, before, after in turns if after & VALID and not before & VALID]
        to_repair = self._newly_to_repair(was, entries)
        # Editions have their numbers from the log, and those born here come in the same order whenever they come.
        said = [
            [[one.outcome, one.replayed, one.verdict.state, one.verdict.reason] for one in outcomes],
            [edition if edition < self._editions else self._editions - edition - 1 for edition in to_repair],
        ]
        told = hashlib.sha256(b"".join(_TURN.pack(index.birth[edition], *states) for edition, *states in turns))
        told.update(orjson.dumps(said))
        return Measured(fell, revived, to_repair, f"sha256:{told.hexdigest()}")

    def _newly_to_repair(self, was: dict[int, int], entries: Iterable[Entry]) -> list[int]:
        """An act can come to need repair only by something that changed under it, or that was said of it."""
        index = self.index
        touched = [index.edition[target] for entry in entries if isinstance(entry, Event) for target in entry.targets]
        born = range(self._editions, len(index.flags))
        needing = acts_to_repair(index, sorted(fallen_from(index, [*was, *touched, *born])))
        doubtful = [act for act in needing if act < self._editions and not was.get(act, 0) & VALID]
        before = acts_to_repair(Past(index, self._upto, index.clock_us), doubtful) if doubtful else []
        return sorted(set(needing).difference(before))
