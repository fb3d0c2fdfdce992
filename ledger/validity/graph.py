"""Walks over the support graph: what an edition rests on, what rests on it, which acts need repair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, reduce
from itertools import compress
from operator import or_
from typing import NamedTuple, TypeVar

from ledger.validity.lookup import NONE, QUARANTINED, WRONG_FROM_BIRTH, Lookup, Withdrawal

T = TypeVar("T")


class Walk(NamedTuple):
    """Editions reached with their distance; edges as (edition, premise, number of justifications so)."""

    depths: dict[int, int]
    edges: list[tuple[int, int]]
    hidden: int


def walk(index: Lookup, start: int, *, up: bool, depth: int | None, limit: int) -> Walk:
    """Breadth first from an edition: `up` to what it rests on, else down to what rests on it.

    At most `limit` editions and `depth` steps; neighbours beyond are counted in `hidden`, once each.
    """
    depths, edges, hidden = {start: 0}, [], set()
    queue = [start]
    for edition in queue:
        for neighbour in _neighbours(index, edition, up):
            if neighbour not in depths:
                if len(depths) >= limit or (depth is not None and depths[edition] >= depth):
                    hidden.add(neighbour)
                    continue
                depths[neighbour] = depths[edition] + 1
                queue.append(neighbour)
            edges.append((edition, neighbour) if up else (neighbour, edition))
    return Walk(depths, edges, len(hidden - depths.keys()))


def resting_on(index: Lookup, edition: int) -> list[int]:
    """Editions of which some justification leans on this one, directly or not, nearest first."""
    found = {edition: None}
    queue = [edition]
    for one in queue:
        for supported in _neighbours(index, one, up=False):
            if supported not in found:
                found[supported] = None
                queue.append(supported)
    return queue[1:]


def _neighbours(index: Lookup, edition: int, up: bool) -> Iterable[int]:
    if up:
        return dict.fromkeys(premise for row in index.justifications(edition) for premise in index.premises(row))
    return dict.fromkeys(index.supports[row] for row in index.uses(edition))


class Act(NamedTuple):
    """An executed mutation none of whose justifications stands: to be repaired, or it lapsed."""

    edition: int
    needed: bool


def acts_without_ground(index: Lookup, editions: Iterable[int]) -> list[Act]:
    """Those of these editions that are acts and lost their ground (law 16): what they share is looked at once."""
    since: dict[int, float] = {}
    return [
        Act(act, _gone_since(index, act, since) < index.acted_us[act])
        for act in editions
        if act in index.acted_us and not index.is_ground(act) and not index.standing[act]
    ]


def acts_to_repair(index: Lookup, editions: Iterable[int]) -> list[int]:
    """Those of these editions that are acts in need of repair."""
    return [act.edition for act in acts_without_ground(index, editions) if act.needed]


def faults(index: Lookup, acts: Iterable[int]) -> dict[int, list[int]]:
    """By act the withdrawals under it that make it wrong when it was done, grounds that they share looked at once."""
    places: dict[Withdrawal, int] = {}
    below: dict[int, int] = {}  # by edition the withdrawals under it, a bit each: many editions have many in common

    def bit(one: Withdrawal) -> int:
        return 1 << places.setdefault(one, len(places))

    @cache
    def withdrawals(bits: int) -> list[Withdrawal]:
        return sorted(compress(places, map("1".__eq__, reversed(f"{bits:b}"))))

    found: dict[int, list[int]] = {}
    for act in acts:
        under = withdrawals(_under(index, act, below, bit, lambda bits: reduce(or_, bits, 0)))
        found[act] = [one.seq for one in under if _gone_us(one) < index.acted_us[act]]
    return found


def fallen_from(index: Lookup, editions: Iterable[int]) -> list[int]:
    """These editions, and everything that rests on those of them that have fallen, as far as it has fallen too."""
    found = dict.fromkeys(editions)
    queue = list(found)
    for edition in queue:
        for supported in () if index.valid[edition] else _neighbours(index, edition, up=False):
            if supported not in found:
                found[supported] = None
                queue.append(supported)
    return queue


def _gone_since(index: Lookup, act: int, since: dict[int, float]) -> float:
    """The first moment as of which something under an act was withdrawn."""
    return _under(index, act, since, _gone_us, lambda moments: min(moments, default=math.inf))


def _gone_us(withdrawal: Withdrawal) -> float:
    """The moment from which on it does not stand; what was wrong never stood."""
    return -math.inf if withdrawal.flag & (WRONG_FROM_BIRTH | QUARANTINED) else withdrawal.moment_us


def _under(
    index: Lookup, edition: int, found: dict[int, T], told: Callable[[Withdrawal], T], merged: Callable[[list[T]], T]
) -> T:
    """What the withdrawals under an edition come to, along its fallen grounds: what each tells, merged.

    `found`: by edition what was found before; it is added to.
    """
    stack = [edition]
    while stack:
        top = stack[-1]
        rows = () if top in found else list(index.justifications(top))
        fallen = [premise for row in rows for premise in index.premises(row) if not index.valid[premise]]
        waiting = [premise for premise in fallen if premise not in found]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if top not in found:
            parts = [found[premise] for premise in fallen]
            parts += [told(one) for row in rows for one in index.withdrawn_support(row)]
            parts += [told(one) for premise in fallen for one in index.withdrawals.get(premise, ())]
            found[top] = merged(parts)
    return found[edition]


def entries_about(index: Lookup, edition: int) -> list[int]:
    """All entries about a key (all its editions) or a thing without key, in order."""
    key = index.key_of[edition]
    editions = [edition] if key == NONE else list(index.editions(key))
    found: set[int] = set()
    for one in editions:
        found.update(index.versions_of_edition(one))
        found.update(index.events(one))
    return sorted(found)
