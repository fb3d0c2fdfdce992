"""Random histories: index and oracle agree on every reference, whatever was recorded or refused."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, pairwise

import pytest
from histories import ALL_REFS, KEYS, Author, Step, cut_down

from ledger import AsyncLedger
from ledger.clock import SECOND
from ledger.errors import Refused
from ledger.model.verdict import FRESH, Verdict
from ledger.service.browsing import acts_due
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.testing.clock import ManualClock
from ledger.validity.index import Index
from ledger.validity.lookup import CONDEMNING, QUARANTINED, WRONG_FROM_BIRTH, Lookup, Withdrawal
from ledger.validity.oracle import Oracle
from ledger.validity.past import Past
from ledger.validity.verdicts import Reader

STEPS = 35
MAX_AGES_S = (None, 3, 15)


class Game:
    """A ledger with its clock, and the steps it went through."""

    def __init__(self, ledger: AsyncLedger, clock: ManualClock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.steps: list[Step] = []

    async def play(self, step: Step) -> None:
        """Refused commands leave no trace."""
        seconds, command = step
        self.steps.append(step)
        self.clock.wait(seconds)
        before = self.ledger._service.live.head
        try:
            await self.ledger._service.apply(command)
        except Refused:
            since = await self.ledger.entries(after=before.seq)
            assert all(entry.kind == "expiry" for entry in since), "a refusal left a trace"

    @property
    def _known(self) -> list[str]:
        """The keys that something was recorded under by now."""
        return [key for key in KEYS if key in self.ledger._service.live.index.keys]

    async def agree(self) -> None:
        """Every reference has the verdict the laws give it."""
        oracle = Oracle([sealed.entry async for sealed in self.ledger._service.sealed()])
        for max_age_s in MAX_AGES_S:
            report = await self.ledger.check(ALL_REFS, max_age_s=max_age_s)
            # Keys alone go another way.
            pairs = [await self.ledger.check(pair, max_age_s=max_age_s) for pair in pairwise(self._known)]
            for verdict in chain(report.verdicts, *(pair.verdicts for pair in pairs)):
                expected = oracle.verdict(
                    verdict.ref, report.clock_us, None if max_age_s is None else max_age_s * SECOND
                )
                assert verdict == expected, f"max_age_s={max_age_s}\n index {verdict}\noracle {expected}"
        remedies = await self.ledger.remediation()
        needed, lapsed = oracle.remediation(report.clock_us)
        assert sorted(one.entry.seq for one in remedies if one.needed) == sorted(needed)
        assert sorted(one.entry.seq for one in remedies if not one.needed) == sorted(lapsed)
        with self.ledger._service.live.durable as index:
            for one in remedies:
                if one.needed:
                    assert one.causes == tuple(f"@{seq}" for seq in faults_of(index, index.edition[one.entry.seq]))
            assert index.condemned == condemned_in(index)

    async def agree_on_the_past(self) -> None:
        """As of the end of some batch, and of a moment soon after, every reference had the verdict the laws give it."""
        entries = [sealed.entry async for sealed in self.ledger._service.sealed()]
        ends = [one.seq - 1 for one in entries[1:] if one.batch == one.seq] + [len(entries)] * bool(entries)
        with self.ledger._service.live.durable as index:
            for end in random.Random(len(entries)).sample(ends, min(3, len(ends))):
                oracle = Oracle(entries[:end])
                recorded_us = entries[end - 1].recorded_at_us
                until_us = entries[end].recorded_at_us if end < len(entries) else index.clock_us + 1
                assert index.batch_end(entries[end - 1].batch) == end
                for clock_us in {recorded_us, (recorded_us + until_us) // 2, max(recorded_us, until_us - 1)}:
                    assert until_us <= clock_us or index.batch_end(index.seq_at(clock_us)) == end
                    for max_age_us in (None, 3 * SECOND):
                        reader = Reader(Past(index, end, clock_us), max_age_us)
                        pairs = list(pairwise(self._known))  # keys alone go another way
                        refs = [*ALL_REFS, *chain(*pairs)]
                        answers = [*reader.check(ALL_REFS), *chain(*map(reader.check, pairs))]
                        for ref, found in zip(refs, answers, strict=True):
                            told = Verdict(ref, FRESH, None, f"@{found}") if isinstance(found, int) else found
                            expected = oracle.verdict(ref, clock_us, max_age_us)
                            assert told == expected, f"@{end} {clock_us} {max_age_us}\n  past {told}\noracle {expected}"
                    to_repair, lapsed = oracle.remediation(clock_us)
                    due = acts_due(Reader(Past(index, end, clock_us)))
                    assert sorted(one.seq for one in due if one.needed) == to_repair
                    assert sorted(one.seq for one in due if not one.needed) == lapsed
                    for one in due:
                        faults = faults_of(reader.index, index.edition[one.seq])
                        assert faults == (list(one.causes) if one.needed else [])


def condemned_in(index: Index) -> dict[tuple[int, bytes], tuple[int, int]]:
    """By key and content how many of its versions are condemned, and the newest of them."""
    found: dict[tuple[int, bytes], tuple[int, int]] = {}
    for key in range(index.key_count):
        for seq in sorted(index.versions(key)):
            if index.flags[index.edition[seq]] & CONDEMNING:
                place = key, index.digest_at(seq)
                found[place] = found.get(place, (0, 0))[0] + 1, seq
    return found


def faults_of(index: Lookup, act: int) -> list[int]:
    """The withdrawals that make an act wrong when it was done, by walking all that has fallen under it (law 16)."""
    found: set[Withdrawal] = set()
    grounds = [act]
    for edition in grounds:
        for row in index.justifications(edition):
            found.update(index.withdrawn_support(row))
            for premise in index.premises(row):
                if not index.valid[premise]:
                    found.update(index.withdrawals.get(premise, ()))
                    grounds += [premise] if premise not in grounds else []
    wrong = WRONG_FROM_BIRTH | QUARANTINED
    return sorted(one.seq for one in found if one.flag & wrong or one.moment_us < index.acted_us[act])


@asynccontextmanager
async def game(store: Store | None = None, name: str = "main") -> AsyncIterator[Game]:
    clock = ManualClock()
    async with AsyncLedger.open(store or MemoryStore(), name, clock=clock) as ledger:
        yield Game(ledger, clock)


async def replay_fails(steps: list[Step]) -> bool:
    with contextlib.suppress(Exception):
        async with game() as one:
            for step in steps:
                await one.play(step)
                await one.agree()
                await one.agree_on_the_past()
        return False
    return True


async def random_game(seed: int, every: int) -> None:
    author = Author(seed)
    async with game() as one:
        try:
            for number in range(STEPS):
                await one.play(author.step(one.ledger))
                if number % every == 0:
                    await one.agree()
            await one.agree()
            await one.agree_on_the_past()
            report = await one.ledger.audit()
            assert report.ok, report.problems
        except Exception as error:
            steps = await cut_down(one.steps, replay_fails) if await replay_fails(one.steps) else one.steps
            lines = "\n".join(f"{seconds:>4}s {command}" for seconds, command in steps)
            raise AssertionError(f"seed {seed}: {error!r}\n{lines}") from error


@pytest.mark.parametrize("block", range(20))
def test_the_index_agrees_with_the_oracle(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """2,000 histories of 35 steps, held against the oracle every fourth step; in half of them each wave is wide, and in
    half of all each key has many versions."""
    if block % 2:
        for module in ("index", "trail"):
            monkeypatch.setattr(f"ledger.validity.{module}.WIDE", block // 2 % 2)
    if block // 2 % 2:
        for module in ("past", "resolve"):
            monkeypatch.setattr(f"ledger.validity.{module}.FEW", block // 4 % 3)

    async def games() -> None:
        for seed in range(block * 100, block * 100 + 100):
            await random_game(seed, every=4)

    asyncio.run(games())


@pytest.mark.parametrize("block", range(4))
def test_an_export_makes_the_same_ledger_again(block: int) -> None:
    """Imported into an empty ledger it gives the same numbers and states, and exports to the same lines."""

    async def games() -> None:
        for seed in range(block * 50, block * 50 + 50):
            store, author = MemoryStore(), Author(seed)
            async with game(store, "first") as first, game(store, "second") as second:
                for _ in range(STEPS):
                    await first.play(author.step(first.ledger))
                lines = [line async for line in first.ledger.export()]
                second.clock.now_us = first.clock.now_us
                await second.ledger.import_lines(lines)
                kinds = [view.kind for view in await first.ledger.entries(limit=1000)]
                assert kinds == [view.kind for view in await second.ledger.entries(limit=1000)], seed
                for max_age_s in MAX_AGES_S:
                    told = await first.ledger.check(ALL_REFS, max_age_s=max_age_s)
                    again = await second.ledger.check(ALL_REFS, max_age_s=max_age_s)
                    assert told.verdicts == again.verdicts, seed
                assert (await second.ledger.audit()).ok

    asyncio.run(games())


def test_a_verbatim_export_restores_to_the_same_hash() -> None:
    async def games() -> None:
        for seed in range(50):
            store, author = MemoryStore(), Author(seed)
            async with game(store, "first") as first, game(store, "second") as second:
                for _ in range(STEPS):
                    await first.play(author.step(first.ledger))
                head = await second.ledger.restore([line async for line in first.ledger.export(entries=True)])
                assert head == first.ledger._service.live.head
                assert (await first.ledger.check(ALL_REFS)).verdicts == (await second.ledger.check(ALL_REFS)).verdicts

    asyncio.run(games())


def test_a_restore_holds_so_many_large_contents_and_a_whole_batch() -> None:
    """
    10 records of a million characters       -> written as 8, as PAGE_CHARS says, and 2 with what follows
    a batch of 12 of them, and one more      -> is never split; then that one
    """

    async def restored() -> list[int]:
        record = {"op": "record", "kind": "belief", "content": "x" * 1_000_000}
        landed: list[int] = []
        async with AsyncLedger.open("memory:") as first, AsyncLedger.open("memory:") as second:
            for _ in range(10):
                await first.apply([record])
            await first.apply([record] * 12)
            await first.apply([record])
            await second.restore([line async for line in first.export(entries=True)], progress=landed.append)
        return landed

    assert asyncio.run(restored()) == [8, 14, 1]
