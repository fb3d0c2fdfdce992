"""What two pasts of a ledger have different, and what made it so: from the trail, never by looking at all there is.

The cost is that of the entries and changes between the two, and of what is asked of the answer.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ledger.errors import Malformed
from ledger.validity.index import VALID, Index
from ledger.validity.lookup import KIND_CODES
from ledger.validity.past import Past

_WITHDRAWN, _REINSTATED = KIND_CODES["revocation"], KIND_CODES["reinstatement"]


class Happening(NamedTuple):
    """What made a change: an entry, or (0) time that passed: a limit was reached."""

    moment_us: int
    entry: int


class Turn(NamedTuple):
    """An edition that stands at one of the pasts alone, and the moment of the timeline since which that is so."""

    edition: int
    moment: int


class Difference(NamedTuple):
    """Entries between two pasts by what they are, and editions known at both by what became of them; in order."""

    recorded: list[int]  # versions that began an edition
    amended: list[int]  # versions that joined one
    withdrawn: list[int]
    reinstated: list[int]
    noted: list[int]  # verifications, added support, attempts, expiries
    fallen: list[Turn]
    revived: list[Turn]


def difference(before: Past, after: Past) -> Difference:
    """What is different `after`. Raises Malformed if that is before `before`. Both are of one index."""
    if (before.upto, before.clock_us) > (after.upto, after.clock_us):
        raise Malformed("from comes after to: what is asked for is what changed from one to the other", field="from")
    found = Difference([], [], [], [], [], *_turns(before, after))
    for seq in range(before.upto + 1, after.upto + 1):
        if after.is_record(seq):
            (found.recorded if after.birth[after.edition[seq]] == seq else found.amended).append(seq)
        elif after.kind[seq] == _WITHDRAWN:
            found.withdrawn.append(seq)
        elif after.kind[seq] == _REINSTATED:
            found.reinstated.append(seq)
        else:
            found.noted.append(seq)
    return found


def _turns(before: Past, after: Past) -> tuple[list[Turn], list[Turn]]:
    """What fell and what revived, in the order of what made it so: going back from `after`."""
    index = before.today
    places, (states,), began = index.changes.place, index.changes.before, index.timeline.changes
    moment = moment_of(index, after.changes - 1)
    born = bisect_right(index.birth, before.upto)  # editions from here on were not there before
    stands: dict[int, bool] = {}  # in the end
    stood: dict[int, bool] = {}  # before the changes seen so far
    since: dict[int, int] = {}
    for change in range(after.changes - 1, before.changes - 1, -1):
        edition = places[change]
        if edition >= born:
            continue
        while began[moment] > change:
            moment -= 1
        if edition not in stood:
            stands[edition] = stood[edition] = bool(after.valid[edition])
        valid = bool(states[change] & VALID)
        if valid != stood[edition]:
            since.setdefault(edition, moment)
        stood[edition] = valid
    turned = sorted((since[edition], edition) for edition in stood if stood[edition] != stands[edition])
    fallen = [Turn(edition, moment) for moment, edition in turned if stood[edition]]
    return fallen, [Turn(edition, moment) for moment, edition in turned if stands[edition]]


def moment_of(index: Index, change: int) -> int:
    """The moment of the timeline that a change of the trail belongs to."""
    return bisect_right(index.timeline.changes, change) - 1


def happening_of(index: Index, moment: int) -> Happening:
    """What happened at a moment of the timeline."""
    seq, clock_us = index.timeline.seq[moment], index.timeline.clock_us[moment]
    # Time passes behind an entry: at a later moment than that was recorded.
    return Happening(clock_us, seq if index.recorded_us[seq] == clock_us else 0)
