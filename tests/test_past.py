"""The index as it was, where the log did not come in the order of the clock that readers had."""

from __future__ import annotations

import asyncio
import random

import pytest
from histories import ALL_REFS, Author
from test_properties import STEPS, game

from ledger.clock import SECOND
from ledger.model.entry import Sealed
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
