"""What two pasts of a ledger have different, and what made it so: from the trail, never by looking at all there is.

The cost is that of the entries and changes between the two, and of what is asked of the answer.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from ledger.errors import Malformed
from ledger.validity.index import VALID, Index
from ledger.validity.lookup import KIND_CODES, NONE
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
    """What fell and what revived, in the order of what made it so."""
    index = before.today
    stood = index.changes.stood(before.changes, after.changes)
    born = bisect_right(index.birth, before.upto)  # editions from here on were not there before
    turned = sorted(
        (index.timeline.moment_of(_last_turn(after, edition)), edition)
        for edition, state in stood.items()
        if edition < born and bool(state & VALID) != bool(after.valid[edition])
    )
    fallen = [Turn(edition, moment) for moment, edition in turned if stood[edition] & VALID]
    return fallen, [Turn(edition, moment) for moment, edition in turned if not stood[edition] & VALID]


def _last_turn(past: Past, edition: int) -> int:
    """The change by which an edition last fell or revived for all to see; there must have been one."""
    trail, stands = past.today.changes, bool(past.valid[edition])
    change = trail.last[edition]
    while change >= past.changes:
        change = trail.earlier[change]
    while True:
        while bool(trail.before[0][first := _first_of_moment(past.today, change)] & VALID) == stands:
            change = trail.earlier[first]
        first = _first_seen_with(past.today, change)
        if bool(trail.before[0][first] & VALID) != stands:
            return change
        change = trail.earlier[first]


def _first_of_moment(index: Index, change: int) -> int:
    """The first change of the same edition at the same moment: what lasted within it was never so."""
    earlier, moment = index.changes.earlier, index.timeline.moment_of(change)
    while earlier[change] != NONE and index.timeline.moment_of(earlier[change]) == moment:
        change = earlier[change]
    return change


def _first_seen_with(index: Index, change: int) -> int:
    """The first change of the same edition that no past shows apart from this one: of one batch, mostly."""
    earlier, upto = index.changes.earlier, _seen(index, change)
    while earlier[change] != NONE and _seen(index, earlier[change]) == upto:
        change = earlier[change]
    return change


def _seen(index: Index, change: int) -> tuple[int, int]:
    moment = index.timeline.moment_of(change)
    moment_us = index.timeline.clock_us[moment]
    return moment_us, seen_as_of(index, moment_us, index.timeline.seq[moment])


def seen_as_of(index: Index, moment_us: int, behind: int) -> int:
    """The last entry of the first past that shows what changed at a moment behind an entry, or by it."""
    following = index.recorded_us[behind + 1] if behind < index.upto else None
    if following == moment_us and index.recorded_us[behind] < moment_us:
        behind += 1  # a limit that was reached when the next batch was recorded
    return index.batch_end(behind)


def happening_of(index: Index, moment: int) -> Happening:
    """What happened at a moment of the timeline."""
    seq, clock_us = index.timeline.seq[moment], index.timeline.clock_us[moment]
    # Time passes behind an entry: at a later moment than that was recorded.
    return Happening(clock_us, seq if index.recorded_us[seq] == clock_us else 0)
