"""`diff`, the intervals of `history`, and `compare`, held against what the oracle says behind every entry and limit."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple

import pytest
from histories import KEYS, Author
from test_properties import STEPS, game

from ledger import AsyncLedger
from ledger.clock import SECOND, format_moment
from ledger.model.canonical import digest_of
from ledger.model.entry import Entry, Head, Record, Sealed
from ledger.model.verdict import STALE
from ledger.service import comparing
from ledger.store.base import NodeState
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock
from ledger.validity.comparison import compared, standings
from ledger.validity.difference import Difference, Happening, difference, happening_of
from ledger.validity.index import Index
from ledger.validity.intervals import Interval, Room, intervals
from ledger.validity.oracle import Oracle
from ledger.validity.past import Past
from ledger.validity.verdicts import Reader

HISTORIES = 40


class Point(NamedTuple):
    """What the oracle says behind an entry and when a limit is reached behind it: the reason of every version."""

    upto: int
    clock_us: int
    event: Happening
    seen: bool  # whether a past ends here
    reasons: dict[int, str | None]
    oracle: Oracle


class Told(NamedTuple):
    """A history, as a process knows it, and as the oracle tells it from its log."""

    index: Index
    entries: list[Entry]
    points: list[Point]

    def pasts(self, dice: random.Random) -> Iterator[Past]:
        """Revisions, and moments between."""
        while True:
            if dice.random() < 0.5:
                end = self.index.batch_end(dice.randrange(len(self.entries)) + 1)
                yield Past(self.index, end, self.index.recorded_us[end])
            else:
                moment_us = dice.randint(self.entries[0].recorded_at_us - 1, self.index.clock_us)
                yield Past(self.index, self.index.seq_at(moment_us), moment_us)

    def upto(self, past: Past) -> list[Point]:
        return [point for point in self.points if point.upto <= past.upto and point.clock_us <= past.clock_us]


async def told(seed: int, *, elsewhere: bool) -> Told:
    """The index of the process that wrote, or of another one that read on while time passed."""
    author = Author(seed)
    async with game() as one:
        for _ in range(STEPS):
            await one.play(author.step(one.ledger))
        log = [sealed async for sealed in one.ledger._service.sealed()]
        with one.ledger._service.live.durable as index:
            index.advance(one.clock.now_us)
    if elsewhere:
        dice, index = random.Random(seed), Index()
        for sealed in log:
            index.take_in(sealed)
            if dice.random() < 0.5:
                index.advance(sealed.entry.recorded_at_us + dice.randrange(20) * SECOND)
        index.advance(0)
    entries = [sealed.entry for sealed in log]
    return Told(index, entries, list(points(index, entries)))


def points(index: Index, entries: list[Entry], oracle_of: Callable[[int], Oracle] | None = None) -> Iterator[Point]:
    """All of them, in order; `oracle_of` gives the oracle of so many entries, if it is at hand."""
    oracle_of = oracle_of or functools.cache(lambda number: Oracle(entries[:number]))
    limits = {getattr(entry, "valid_until_us", None) for entry in entries}
    moments = sorted(moment for moment in limits if isinstance(moment, int))
    passed_us = 0
    for number in range(len(entries) + 1):
        if number:
            recorded_us = passed_us = entries[number - 1].recorded_at_us
            ends = number == len(entries) or entries[number].batch == number + 1
            yield point(oracle_of(number), number, recorded_us, Happening(recorded_us, number), ends)
        until_us = entries[number].recorded_at_us if number < len(entries) else index.clock_us
        for moment_us in moments:
            if passed_us < moment_us <= until_us:
                seen = number == len(entries) or moment_us < until_us
                yield point(oracle_of(number), number, moment_us, Happening(moment_us, 0), seen)


def point(oracle: Oracle, number: int, clock_us: int, event: Happening, seen: bool) -> Point:
    states = oracle.states(clock_us)
    reasons = {seq: reason if state == STALE else None for seq, (state, reason) in states.items()}
    return Point(number, clock_us, event, seen, reasons, oracle)


def expected_difference(told: Told, before: Past, after: Past) -> tuple[dict[int, Happening], dict[int, Happening]]:
    """What fell and what revived, by the first version of its edition, with what did it last."""
    fallen: dict[int, Happening] = {}
    revived: dict[int, Happening] = {}
    earlier, later = told.upto(before), told.upto(after)
    known = earlier[-1].reasons if earlier else {}
    for seq in {told.index.birth[told.index.edition[seq]] for seq in known}:
        stood, stands = known[seq] is None, later[-1].reasons[seq] is None
        if stood != stands:
            at, following = _last_turn([point for point in later if point.seen], seq, stood)
            _, since = _last_turn(later[later.index(at) : later.index(following) + 1], seq, stood)
            (fallen if stood else revived)[seq] = since.event
    return fallen, revived


def _last_turn(points: list[Point], seq: int, stood: bool) -> tuple[Point, Point]:
    """Where it last stood (or did not), and the next point, where it did not any more (or did)."""
    steps = reversed(list(itertools.pairwise(points)))
    return next(step for step in steps if (step[0].reasons[seq] is None) == stood)


def told_difference(told: Told, found: Difference) -> tuple[dict[int, Happening], dict[int, Happening]]:
    index = told.index
    fallen, revived = (
        {index.birth[turn.edition]: happening_of(index, turn.moment) for turn in turns}
        for turns in (found.fallen, found.revived)
    )
    return fallen, revived


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_what_is_different_between_two_pasts(elsewhere: bool) -> None:
    turned = 0
    for seed in range(HISTORIES):
        one = await told(seed, elsewhere=elsewhere)
        pasts = one.pasts(random.Random(seed))
        for _ in range(40):
            before, after = sorted((next(pasts), next(pasts)), key=lambda past: (past.upto, past.clock_us))
            found = difference(before, after)
            expected = expected_difference(one, before, after)
            assert told_difference(one, found) == expected, f"seed {seed} {before.upto} {after.upto}"
            turned += len(expected[0]) + len(expected[1])
            between = one.entries[before.upto : after.upto]
            lists = (found.recorded, found.amended, found.withdrawn, found.reinstated, found.noted)
            assert sorted(itertools.chain(*lists)) == [entry.seq for entry in between]
            for entry in between:
                kind = "noted"
                if isinstance(entry, Record):
                    kind = "recorded" if entry.amends is None else "amended"
                kind = {"revocation": "withdrawn", "reinstatement": "reinstated"}.get(entry.kind, kind)
                assert entry.seq in getattr(found, kind)
    assert turned > HISTORIES


def expected_intervals(told: Told, past: Past, seq: int) -> list[Interval]:
    known = [point for point in told.upto(past) if seq in point.reasons]
    found: list[Interval] = []
    for place, point in enumerate(known):
        reason = point.reasons[seq]
        if not point.seen or (found and found[-1].reason == reason):
            continue
        while place and known[place - 1].reasons[seq] == reason:
            place -= 1
        since = known[place].event
        cause = point.oracle.verdict(f"@{seq}", point.clock_us).cause
        if found:
            found[-1] = found[-1]._replace(until=since)
        found.append(Interval(since, None, reason, None if cause is None else int(cause[1:])))
    return found


async def test_what_rises_and_falls_within_one_entry_is_told_by_what_felled_it_before() -> None:
    """
    b because q; on-b because b
    batch: revoke q @5; b because r, until a moment ago @6    -> on-b fell with @5
    """
    clock = ManualClock()
    async with AsyncLedger.open(MemoryStore(), clock=clock) as ledger:
        for key, because in (("q", []), ("r", []), ("b", [["q"]]), ("on-b", [["b"]])):
            await ledger.record("belief", 1, key=key, because=because)
        before, past = ledger.revision, format_moment(clock.now_us - SECOND)
        again = {"op": "record", "kind": "belief", "key": "b", "content": 1, "because": [["r"]], "valid_until": past}
        await ledger.apply([{"op": "revoke", "target": "q"}, again])
        fallen = (await ledger.diff(before)).fallen.first
        assert {one.verdict.ref: one.event.entry for one in fallen} == {"q@1": "@5", "b@1": "@5", "on-b@1": "@5"}
        states = (await ledger.history("on-b")).editions.last[0].states.last
        assert [(one.since.entry, one.reason) for one in states] == [("@4", None), ("@5", "unsupported")]


async def test_what_was_otherwise_within_one_entry_alone_was_never_so() -> None:
    """batch: k @1; two looks at it, at another content and its own, one verification @2    -> fresh since @1"""
    async with AsyncLedger.open(MemoryStore(), clock=ManualClock()) as ledger:
        looks = [{"op": "verify", "target": "k", "digest": digest_of(content)} for content in (2, 1)]
        await ledger.apply([{"op": "record", "kind": "dependency", "key": "k", "content": 1}, *looks])
        states = (await ledger.history("k")).editions.last[0].states.last
        assert [(one.since.entry, one.reason) for one in states] == [("@1", None)]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_the_states_an_edition_went_through(elsewhere: bool) -> None:
    longest = 0
    for seed in range(HISTORIES):
        one = await told(seed, elsewhere=elsewhere)
        index, pasts = one.index, one.pasts(random.Random(seed))
        for past in (next(pasts) for _ in range(4)):
            for edition, birth in enumerate(index.birth):
                if birth > past.upto:
                    break
                expected = expected_intervals(one, past, birth)
                count, found = intervals(past, edition, 100, Room(1_000))
                assert (count, found) == (len(expected), expected), f"seed {seed} {past.upto} @{birth}"
                assert intervals(past, edition, 2, Room(1_000)) == (count, expected[-2:])
                unknown = [one._replace(cause=None) for one in expected]
                assert intervals(past, edition, 100, Room(0)) == (count, unknown)
                longest = max(longest, count)
    assert longest > 4


async def test_two_ledgers_key_by_key() -> None:
    different = 0
    for seed in range(0, HISTORIES, 2):
        ledgers = [await told(seed, elsewhere=False), await told(seed + 1, elsewhere=True)]
        dice = random.Random(seed)
        for _ in range(4):
            pasts = [next(one.pasts(dice)) for one in ledgers]
            sides = [dict(standings(Reader(past), range(past.key_count))) for past in pasts]
            expected = [oracle_says(one, past) for one, past in zip(ledgers, pasts, strict=True)]
            assert [{key: (one.digest.hex(), one.state) for key, one in side.items()} for side in sides] == [
                {key: (digest, state) for key, (digest, state, _) in side.items()} for side in expected
            ]
            here, there = expected
            found = compared(*sides)
            both = here.keys() & there.keys()
            content = [key for key in sorted(both) if here[key][0] != there[key][0]]
            verdict = [key for key in sorted(both) if here[key][1:] != there[key][1:]]
            assert (found.content, found.verdict) == (content, verdict), seed
            assert found.same == len([key for key in both if here[key] == there[key]])
            assert (found.only_here, found.only_there) == (sorted(here.keys() - both), sorted(there.keys() - both))
            different += len(content) * len(verdict)
    assert different


def oracle_says(told: Told, past: Past) -> dict[str, tuple[str, str, str | None]]:
    """Digest, state and reason of the current version of each key."""
    oracle, said = Oracle(told.entries[: past.upto]), {}
    for key in KEYS:
        verdict = oracle.verdict(key, past.clock_us)
        if verdict.id is not None:
            record = told.entries[int(verdict.id[1:]) - 1]
            assert isinstance(record, Record)
            said[key] = (record.digest[7:], verdict.state, verdict.reason)
    return said


@pytest.fixture
async def late(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[AsyncLedger, Late, str]]:
    """
    record  fifty others; p until 10 s; q because p
    x is judged at 9 s, and not durable yet; it is 11 s    p is expired
    """
    monkeypatch.setattr(comparing, "KEYS_AT_ONCE", 1)
    clock, store = ManualClock(), Late()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        for number in range(50):
            await ledger.record("belief", 1, key=f"other/{number}")
        since, limit_us = ledger.revision, clock.now_us + 10 * SECOND
        await ledger.record("dependency", 1, key="p", valid_until=format_moment(limit_us))
        await ledger.record("belief", 1, key="q", because=[["p"]])
        clock.wait(9)
        store.held = asyncio.Event()
        writing = asyncio.create_task(ledger.record("belief", 1, key="x"))
        while not store.waiting:
            await asyncio.sleep(0)
        clock.wait(2)
        assert (await ledger.check(["p"])).withheld[0].reason == "expired"
        yield ledger, store, since
        await writing


async def test_a_diff_is_told_as_it_was_though_an_entry_comes_late(late: tuple[AsyncLedger, Late, str]) -> None:
    ledger, store, since = late
    store.lands_first = True
    found = await ledger.diff(since)
    assert store.held is None
    assert {one.key: one.verdict and one.verdict.reason for one in found.recorded.first} == {
        "p": "expired", "q": "unsupported",
    }  # fmt: skip


async def test_keys_are_compared_as_of_one_moment_though_an_entry_comes_late(
    late: tuple[AsyncLedger, Late, str],
) -> None:
    ledger, store, _ = late
    service = ledger._service
    telling = asyncio.create_task(comparing.standings(service.live, lambda: service._past(None, "at")))
    await asyncio.sleep(0)
    assert store.held is not None
    store.held.set()
    _, told = await telling
    assert {key: told[key].reason for key in ("p", "q", "x")} == {"p": "expired", "q": "unsupported", "x": None}


async def test_keys_are_compared_though_entries_come_late_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "KEYS_AT_ONCE", 1)
    async with AsyncLedger.open(MemoryStore()) as ledger:
        for number in range(20):
            await ledger.record("belief", 1, key=f"k/{number}")
        live = ledger._service.live

        async def rewind() -> None:
            while True:
                live.index.rewinds += 1
                await asyncio.sleep(0)

        rewinding = asyncio.create_task(rewind())
        async with asyncio.timeout(5):
            _, told = await comparing.standings(live, lambda: ledger._service._past(None, "at"))
        rewinding.cancel()
        assert len(told) == 20


class Late(MemoryStore):
    """Commits when it is let; or, if what waits is to land first, when it is asked for anything."""

    held: asyncio.Event | None = None
    waiting = False
    lands_first = False

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        if self.held is not None:
            self.waiting = True
            await self.held.wait()
            self.held, self.waiting = None, False
        await super().append(ledger, expects, entries, states)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        if self.held is not None and self.lands_first:
            self.held.set()
            while self.held is not None:
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)
        return await super().pick(ledger, seqs, content=content)
