"""The index as it was, where the log did not come in the order of the clock that readers had."""

from __future__ import annotations

import asyncio
import random

import pytest
from histories import ALL_REFS, Author
from test_kept_causes import belief, reinstate, revoke, support
from test_properties import STEPS, game

from ledger.clock import SECOND
from ledger.model.entry import Belief, Entry, Sealed
from ledger.validity.index import Index
from ledger.validity.oracle import Oracle
from ledger.validity.past import Past
from ledger.validity.verdicts import Reader


def logged(seed: int) -> list[Sealed]:
    """The log of a random history."""

    async def play() -> list[Sealed]:
        author = Author(seed)
        async with game() as one:
            for _ in range(STEPS):
                await one.play(author.step(one.ledger))
            return [sealed async for sealed in one.ledger._service.sealed()]

    return asyncio.run(play())


def about_one_thing(seed: int, size: int) -> list[Entry]:
    """@1, support added to it and versions of other keys that supersede it: withdrawn and lifted again, at random."""
    dice = random.Random(seed)
    entries: list[Entry] = [belief(1, "old"), belief(2, "new"), support(3, 1, 2)]
    there: dict[int, int] = {}  # what can be lifted, and from what
    for seq in range(4, size + 1):
        target = dice.choice((1, 3, entries[-1].seq if isinstance(entries[-1], Belief) else 2))
        if there and dice.random() < 0.4:
            target = dice.choice(list(there.values()))
            lifts = [one for one, what in there.items() if what == target and dice.random() < 0.5]
            entries.append(reinstate(seq, target, *lifts))
            for one in lifts:
                del there[one]
            continue
        there[seq] = target
        if target == 1 and dice.random() < 0.5:
            entries.append(belief(seq, dice.choice(("new", "other")), version=seq, supersedes=(1,)))
        else:
            entries.append(revoke(seq, target, dice.choice(("revoked", "quarantined", "wrong_from_birth"))))
    return entries


@pytest.mark.parametrize("seed", range(20))
def test_much_that_came_and_went_on_one_thing(seed: int) -> None:
    """Of each moment the same stands against it, in the same order, as did then; whatever was undone in between."""
    entries, index, dice = about_one_thing(seed, 60), Index(), random.Random(seed)
    before: list[list[object]] = []  # what stood, as the index of then has it
    for entry in entries:
        start = index.savepoint()
        for one in entries[entry.seq - 1 : entry.seq - 1 + dice.randrange(12)]:
            index.apply(one)
        index.rollback(start)
        index.apply(entry)
        before.append(standing(Reader(index)))
    for seq, known in enumerate(before, start=1):
        then = Reader(Past(index, seq, seq * SECOND))
        assert standing(then) == known, f"@{seq}"
        oracle = Oracle(entries[:seq])
        assert then.verdict("old") == oracle.verdict("old", seq * SECOND), f"@{seq}"
    plain = Index()
    for entry in entries:
        plain.apply(entry)
    for name in ("withdrawals", "support_withdrawals", "superseded_by"):
        assert getattr(index, name) == getattr(plain, name)
        assert getattr(index, name).changes == getattr(plain, name).changes


def standing(reader: Reader) -> list[object]:
    """All that stands against `old` and what was added to it."""
    index = reader.index
    lists = index.withdrawals.get(0), index.support_withdrawals.get(3), index.superseded_by.get(0)
    return [reader.superseded_by(0), *(list(each or ()) for each in lists)]


@pytest.mark.parametrize("block", range(4))
def test_entries_that_come_later_than_what_readers_saw_expire(block: int) -> None:
    """
    another process records at 12:00:01; here somebody asks at 12:00:09, and only then the entry is heard of
        -> as of that entry nothing had expired that expired in between; as of now it has
    """
    rewound = 0
    for seed in range(block * 50, block * 50 + 50):
        dice, log, index = random.Random(seed), logged(seed), Index()
        for sealed in log:
            moments = len(index.timeline)
            index.take_in(sealed)
            rewound += len(index.timeline) < moments
            if dice.random() < 0.5:
                index.advance(sealed.entry.recorded_at_us + dice.randrange(20) * SECOND)
        index.advance(0)  # up to the latest moment that anybody asked for
        entries = [sealed.entry for sealed in log]
        for end in (index.batch_end(dice.randrange(len(log)) + 1) for _ in range(6)) if log else ():
            recorded_us = entries[end - 1].recorded_at_us
            expected, then = Oracle(entries[:end]), Reader(Past(index, end, recorded_us))
            for ref in ALL_REFS:
                assert then.verdict(ref) == expected.verdict(ref, recorded_us), f"seed {seed} @{end} {ref}"
        expected, now = Oracle(entries), Reader(index)
        for ref in ALL_REFS:
            assert now.verdict(ref) == expected.verdict(ref, index.clock_us), f"seed {seed} {ref}"
    assert rewound, "nothing came late"
