"""How differences are shown: of two pasts of a ledger, and of two ledgers."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from ledger.clock import format_moment
from ledger.model.entry import Sealed
from ledger.model.verdict import FRESH, STALE, Verdict
from ledger.model.view import (
    AsOf,
    EditionHistories,
    EditionHistory,
    Happening,
    Interval,
    Intervals,
    KeyPair,
    KeyPairs,
    KeyStanding,
    LedgerComparison,
    LedgerDiff,
    Listed,
    Turned,
    TurnedList,
)
from ledger.service.live import Live
from ledger.service.rendering import view_of
from ledger.validity import comparison, difference, intervals
from ledger.validity.lookup import KIND_NAMES, NONE, Lookup
from ledger.validity.past import Past
from ledger.validity.resolve import name_of
from ledger.validity.verdicts import Reader


def listed(found: difference.Difference, limit: int) -> list[int]:
    """The entries that are shown of a difference."""
    lists = (found.recorded, found.amended, found.withdrawn, found.reinstated, found.noted)
    return [seq for seqs in lists for seq in seqs[:limit]]


def turned(past: Past, turns: Sequence[difference.Turn], limit: int) -> TurnedList:
    """Editions that turned, as of the later past: how many, and the first of them."""
    reader, first = Reader(past), []
    for turn in turns[:limit]:
        event = difference.happening_of(past.today, turn.moment)
        first.append(Turned(reader.verdict_of(past.newest[turn.edition]), shown_happening(past, event)))
    return TurnedList(len(turns), tuple(first))


def shown_difference(
    index: Lookup,
    span: tuple[AsOf, AsOf],
    found: difference.Difference,
    picked: Iterable[Sealed],
    verdicts: Mapping[int, Verdict | None],
    turns: Iterable[TurnedList],
) -> LedgerDiff:
    """A difference; `picked` are the entries of those `listed`, with their verdicts as of the later past."""
    views = {sealed.entry.seq: view_of(index, sealed, verdicts[sealed.entry.seq]) for sealed in picked}

    def entries(seqs: Sequence[int]) -> Listed:
        return Listed(len(seqs), tuple(views[seq] for seq in seqs if seq in views))

    fallen, revived = turns
    return LedgerDiff(
        since=span[0],
        to=span[1],
        recorded=entries(found.recorded),
        amended=entries(found.amended),
        withdrawn=entries(found.withdrawn),
        reinstated=entries(found.reinstated),
        noted=entries(found.noted),
        fallen=fallen,
        revived=revived,
    )


def as_of(live: Live, index: Lookup) -> AsOf:
    """The past that a look-up shows."""
    return AsOf(live.revision_of(index.upto), format_moment(index.clock_us))


def shown_happening(index: Lookup, event: difference.Happening) -> Happening:
    """What made something so."""
    if not event.entry:
        return Happening(format_moment(event.moment_us))
    return Happening(format_moment(event.moment_us), f"@{event.entry}", KIND_NAMES[index.kind[event.entry]])


KEYS_AT_ONCE = 2_000
"""Looked at before others get their turn: some 10 to 20 ms."""


async def standings(live: Live, asked: Callable[[], Past]) -> tuple[AsOf, dict[str, comparison.Standing]]:
    """What a ledger said of each of its keys in a past, and in which.

    When an entry comes late, the index does not know any more what it knew of the time behind it: then all begins
    again; where that goes on and on, nobody else gets his turn between.
    """
    for step in (KEYS_AT_ONCE, KEYS_AT_ONCE, sys.maxsize):
        with live.durable as index:
            past, rewinds = asked(), index.rewinds
            span, keys = as_of(live, past), past.key_count
            found = dict(comparison.standings(Reader(past), range(min(step, keys))))
        for start in range(step, keys, step):
            await asyncio.sleep(0)
            with live.durable as index:
                if index.rewinds != rewinds:
                    break
                reader = Reader(Past(index, past.upto, past.clock_us))
                found.update(comparison.standings(reader, range(start, min(start + step, keys))))
        else:
            return span, found
    raise AssertionError("in one go nothing comes between")


def shown_comparison(
    span: tuple[AsOf, AsOf],
    here: dict[str, comparison.Standing],
    there: dict[str, comparison.Standing],
    limit: int,
) -> LedgerComparison:
    """How two ledgers compare, with the first `limit` keys of each list."""
    found = comparison.compared(here, there)

    def pairs(keys: Sequence[str]) -> KeyPairs:
        first = [KeyPair(key, _standing(key, here.get(key)), _standing(key, there.get(key))) for key in keys[:limit]]
        return KeyPairs(len(keys), tuple(first))

    return LedgerComparison(
        here=span[0],
        there=span[1],
        only_here=pairs(found.only_here),
        only_there=pairs(found.only_there),
        content=pairs(found.content),
        verdict=pairs(found.verdict),
        same=found.same,
    )


def _standing(key: str, found: comparison.Standing | None) -> KeyStanding | None:
    if found is None:
        return None
    digest = f"sha256:{found.digest.hex()}"
    return KeyStanding(f"{key}@{found.version}", f"@{found.seq}", digest, found.state, found.reason)


def edition_histories(past: Past, start: int, limit: int) -> EditionHistories:
    """The states that all editions of the key of one went through: the last `limit` of each, of the last `limit`."""
    key = past.key_of[start]
    found = [start] if key == NONE else list(past.editions(key))
    room = intervals.Room(intervals.CAUSES_ROOM)
    told = [EditionHistory(*_named(past, edition), _states(past, edition, limit, room)) for edition in found[:limit]]
    return EditionHistories(len(found), tuple(told[::-1]))


def _named(past: Past, edition: int) -> tuple[str, str]:
    return f"@{past.birth[edition]}", name_of(past, past.newest[edition])


def _states(past: Past, edition: int, limit: int, room: intervals.Room) -> Intervals:
    count, last = intervals.intervals(past, edition, limit, room)
    return Intervals(count, tuple(_interval(past, one) for one in last))


def _interval(past: Past, found: intervals.Interval) -> Interval:
    return Interval(
        since=shown_happening(past, found.since),
        until=None if found.until is None else shown_happening(past, found.until),
        state=FRESH if found.reason is None else STALE,
        reason=found.reason,
        cause=None if found.cause is None else f"@{found.cause}",
    )
