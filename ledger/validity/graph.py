"""Walks over the support graph: what an edition rests on, what rests on it, which acts need repair."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from ledger.validity.lookup import NONE, QUARANTINED, WRONG_FROM_BIRTH, Lookup, Withdrawal


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
    """An executed mutation none of whose justifications stands, and the withdrawals that call for repair, if any."""

    edition: int
    causes: list[int]


def acts_without_ground(index: Lookup) -> list[Act]:
    """Executed mutations that lost their ground, in the order recorded (law 16)."""
    fallen = (edition for edition in index.acted_us if not index.is_ground(edition) and not index.standing[edition])
    return [Act(edition, _faults(index, edition)) for edition in fallen]


def _faults(index: Lookup, act: int) -> list[int]:
    """Withdrawals under an act that make it wrong when it was done: found by walking its fallen grounds."""
    moment_us = index.acted_us[act]
    found: set[int] = set()
    seen, queue = {act}, [act]
    for edition in queue:
        for row in index.justifications(edition):
            withdrawn = index.withdrawn_support(row)
            found.update(one.seq for one in withdrawn if _was_wrong(one.flag, one.moment_us, moment_us))
            for premise in index.premises(row):
                if index.valid[premise] or premise in seen:
                    continue
                seen.add(premise)
                queue.append(premise)
                withdrawals = index.withdrawals.get(premise, ())
                found.update(one.seq for one in withdrawals if _was_wrong(one.flag, one.moment_us, moment_us))
    return sorted(found)


def _was_wrong(flag: int, withdrawn_us: int, acted_us: int) -> bool:
    return bool(flag & (WRONG_FROM_BIRTH | QUARANTINED)) or withdrawn_us < acted_us


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


def acts_to_repair(index: Lookup, editions: Iterable[int]) -> list[int]:
    """Those of these editions that are acts in need of repair (law 16): grounds that they share are looked at once."""
    since: dict[int, float] = {}
    return [
        act
        for act in editions
        if act in index.acted_us
        and not index.is_ground(act)
        and not index.standing[act]
        and _gone_since(index, act, since) < index.acted_us[act]
    ]


def _gone_since(index: Lookup, edition: int, since: dict[int, float]) -> float:
    """The first moment as of which something under an edition was withdrawn; what was wrong never stood."""
    stack = [edition]
    while stack:
        top = stack[-1]
        rows = () if top in since else list(index.justifications(top))
        fallen = [premise for row in rows for premise in index.premises(row) if not index.valid[premise]]
        waiting = [premise for premise in fallen if premise not in since]
        if waiting:
            stack.extend(waiting)
            continue
        stack.pop()
        if top not in since:
            moments = [since[premise] for premise in fallen]
            moments += [_gone_us(one) for row in rows for one in index.withdrawn_support(row)]
            moments += [_gone_us(one) for premise in fallen for one in index.withdrawals.get(premise, ())]
            since[top] = min(moments, default=math.inf)
    return since[edition]


def _gone_us(withdrawal: Withdrawal) -> float:
    return -math.inf if withdrawal.flag & (WRONG_FROM_BIRTH | QUARANTINED) else withdrawal.moment_us


def entries_about(index: Lookup, edition: int) -> list[int]:
    """All entries about a key (all its editions) or a thing without key, in order."""
    key = index.key_of[edition]
    editions = [edition] if key == NONE else list(index.editions(key))
    found: set[int] = set()
    for one in editions:
        found.update(index.versions_of_edition(one))
        found.update(index.events(one))
    return sorted(found)
