"""The start from the log: many entries at once come to what they come to one by one, and no page is taken for whole."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from histories import START_US, Author
from test_checkpoints import told
from test_past import logged
from test_properties import STEPS, game

from ledger import AsyncLedger, Ledger
from ledger.clock import SECOND, format_moment
from ledger.errors import Corrupt, Refused
from ledger.model.canonical import digest_of
from ledger.model.entry import Belief, Entry, Sealed
from ledger.service import live, stretches
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.neo4j import Neo4jStore
from ledger.store.sqlite import SqliteStore
from ledger.testing.clock import ManualClock
from ledger.validity import building
from ledger.validity.index import Index


def recorded(seed: int) -> list[Sealed]:
    """The log of a history that is mostly records: new keys, newer versions, amendments; now and then what ends a run.

    Of each seed some kinds of such events are left out, and some have many keys: so there are long runs as well.
    """
    dice, clock, store = random.Random(seed), ManualClock(), MemoryStore()
    names = [f"k/{one}" for one in range(dice.choice([40, 1_000]))]
    kinds = ("belief", "mutation", "dependency", "decision")
    rare = {what: dice.choice([0, 0, 0.03, 0.1]) for what in ("valid_until", "supersedes", "revoke", "verify")}
    with Ledger.open(store, clock=clock) as ledger:
        index = ledger._ledger._service.live.index
        for number in range(150):
            place = dice.randrange(len(names) if dice.random() < 0.7 else 5)
            key, known = names[place], index.key_names
            command: dict[str, object] = {"op": "record", "kind": kinds[place % 4], "key": key, "content": number}
            if dice.random() < 0.1:
                del command["key"]
            if known and dice.random() < 0.4:
                some = range(dice.randint(1, 2))
                command["because"] = [[dice.choice(known) for _ in range(dice.randint(1, 3))] for _ in some]
            elif key in index.keys and "key" in command and dice.random() < 0.6:
                command["amends"] = index.version[index.newest_of_key[index.keys[key]]]
            if dice.random() < rare["valid_until"]:
                command["valid_until"] = format_moment(clock.now_us + dice.randint(1, 20) * SECOND)
            if known and dice.random() < rare["supersedes"]:
                command["supersedes"] = [dice.choice(known)]
            if known and dice.random() < rare["revoke"]:
                mode = dice.choice(["revoked", "wrong_from_birth"])
                command = {"op": "revoke", "target": dice.choice(known), "mode": mode}
            elif known and dice.random() < rare["verify"]:
                command = {"op": "verify", "target": dice.choice(known), "digest": digest_of(dice.randrange(150))}
            if dice.random() < 0.2:
                command["occurred_at"] = format_moment(clock.now_us - dice.randint(0, 20) * SECOND)
            if dice.random() < 0.3:
                command["idempotency_key"] = f"i{number}"
            clock.wait(dice.choice([0, 0, 1, 3]))
            batch = [command, {"op": "record", "kind": "context", "content": 1}] if dice.random() < 0.2 else [command]
            with contextlib.suppress(Refused):
                ledger.apply(batch)
    return asyncio.run(store.read("main", 0, 1_000))


def by_hand(*records: dict[str, Any]) -> list[Entry]:
    """A log of beliefs, one a second, that no judge has seen."""
    made = []
    for seq, fields in enumerate(records, 1):
        own = {"recorded_at_us": START_US + seq * SECOND, "digest": digest_of(seq)}
        made.append(Belief(seq=seq, batch=seq, **(own | fields)))
    return made


def hold_together(log: Sequence[Entry], dice: random.Random, pages: Sequence[int]) -> None:
    """In pages, an index that takes in many at once is the one that takes in each: after every page."""
    each, many = Index(), Index()
    if dice.random() < 0.5:
        each.dirty, many.dirty = {}, {}
    asked = dice.random() < 0.3
    start = 0
    while start < len(log):
        page = log[start : start + dice.choice(pages)]
        start += len(page)
        live.apply_each(each, page)
        building.apply_all(many, page)
        if asked:  # a reader lets time pass; what follows may have been recorded before that
            now_us = each.clock_us + dice.randrange(20) * SECOND
            each.advance(now_us)
            many.advance(now_us)
        alone, together = told(each), told(many)
        answered = {one.idempotency_key: (entry.seq,) for entry in log[:start] for one in entry.requests}
        keys = answered.keys() - {None}
        assert each.requests.find(keys) == many.requests.find(keys) == {key: answered[key] for key in keys}
        assert together == alone, [name for name in alone if together[name] != alone[name]]
        for index in (each, many):
            for seq in index.newest_of_key:
                assert index.digest_texts[seq] == index.digest_at(seq).hex()


@pytest.mark.parametrize("few", [1, 3])
@pytest.mark.parametrize("block", range(5))
def test_random_histories_in_bulk(block: int, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """400 histories of every command."""
    monkeypatch.setattr(building, "SHORT", few)
    for seed in range(block * 80 + few // 3 * 40, block * 80 + few // 3 * 40 + 40):
        hold_together([sealed.entry for sealed in logged(seed)], random.Random(seed), [1, 5, 40])


@pytest.mark.parametrize("few", [1, 8])
def test_long_runs_in_bulk(few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 histories that are mostly records, of which long runs are built."""
    monkeypatch.setattr(building, "SHORT", few)
    build, built, entries = building._build, [0], 0
    monkeypatch.setattr(building, "_build", lambda *of: built.append(build(*of)) or built[-1])
    for seed in range(few * 1_000, few * 1_000 + 30):
        log = [sealed.entry for sealed in recorded(seed)]
        entries += len(log)
        hold_together(log, random.Random(seed), [3, 30, 200])
    assert max(built) >= 20
    assert sum(built) > entries / 6


def test_a_chain_that_is_born_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    the root is revoked; then 300 beliefs, each on the one before, some on other ground as well, some versions anew
    """
    monkeypatch.setattr(building, "SHORT", 1)
    store = MemoryStore()
    with Ledger.open(store) as ledger:
        for key in ("root", "other"):
            ledger.record("dependency", key, key=key)
        ledger.revoke("root")
        for number in range(300):
            before = f"b/{number - 1}" if number % 50 else "root"
            other = [["other"]] if number % 20 == 19 else []
            ledger.record("belief", number, key=f"b/{number}", because=[[before, "other"], *other])
            if number % 40 == 39:
                ledger.record("belief", -number, key=f"b/{number}", because=[[before], ["root"]])
    log = [sealed.entry for sealed in asyncio.run(store.read("main", 0))]
    hold_together(log, random.Random(1), [1_000])


def test_time_that_passes_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    a is valid for 5 s; 20 records, of which the last ten rest on it; nobody noted that it expired
    then one that was recorded before it had    -> it stands again
    a reader asks at 12 s; what comes next was recorded at 4 s    -> a stands again, as of that entry
    """
    monkeypatch.setattr(building, "SHORT", 1)
    limited: list[dict[str, Any]] = [{"key": "a", "valid_until_us": START_US + 5 * SECOND}]
    log = by_hand(*limited, *({} for _ in range(10)), *({"because": ((1,),)} for _ in range(10)))
    hold_together(log, random.Random(1), [21])
    hold_together([*log, *by_hand(*({} for _ in log), {"recorded_at_us": START_US}, {})[-2:]], random.Random(1), [23])
    each, many = Index(), Index()
    for index, apply in ((each, live.apply_each), (many, building.apply_all)):
        apply(index, log[:3])
        index.advance(START_US + 12 * SECOND)
        assert not index.valid[0]
        apply(index, log[3:4])
        assert index.valid[0]
        apply(index, log[4:])
    assert told(many) == told(each)


def test_premises_of_one_edition_count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A version and its amendment are one edition: what rests on both leans on it once."""
    monkeypatch.setattr(building, "SHORT", 1)
    log = by_hand(
        {"key": "a"},
        {"key": "b"},
        {"key": "a", "version": 2, "amends": 1},
        {"because": ((3, 2, 1), (1, 3), (2,))},
        {"key": "a", "version": 3},
        {"because": ((1, 3, 2), (2, 4))},
    )
    hold_together(log, random.Random(1), [6])
    hold_together(log, random.Random(1), [3])


def test_what_names_nothing_is_refused_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log whose entries name what is not there is damaged, wherever they stand."""
    monkeypatch.setattr(building, "SHORT", 1)
    for odd in ({"because": ((9,),)}, {"key": "a", "amends": 9}):
        with pytest.raises(Corrupt, match="entry 3 cannot be read"):
            live.apply_each(Index(), by_hand({}, {}, odd, {}))
        with pytest.raises(Corrupt, match="entry 3 cannot be read"):
            building.apply_all(Index(), by_hand({}, {}, odd, {}))


# -- through the stores -----------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of seven entries are many at once."""
    monkeypatch.setattr(stretches, "PAGE_ENTRIES", 7)
    monkeypatch.setattr(live, "MANY", 1)
    monkeypatch.setattr(building, "SHORT", 1)


async def starts_like_one_by_one(store: Store, other: Store, name: str, seed: int) -> None:
    """A ledger opened from the log, and one that follows another process, have the index of its log."""
    author = Author(seed)
    async with game(store, name) as one, AsyncLedger.open(other, name, clock=one.clock) as follower:
        for number in range(STEPS):
            await one.play(author.step(one.ledger))
            if number == STEPS // 2:
                await follower._service.live.catch_up()
        await follower._service.live.catch_up()
        log = [sealed async for sealed in one.ledger._service.sealed()]
        whole = Index()
        for sealed in log:
            whole.take_in(sealed)
        for index in (whole, follower._service.live.index):
            index.advance(0)
        assert told_but_dirty(follower._service.live.index) == told_but_dirty(whole), seed
        assert follower.revision == one.ledger.revision
        assert (await follower.audit()).ok, seed


def told_but_dirty(index: Index) -> dict[str, object]:
    return {name: value for name, value in told(index).items() if name not in ("dirty", "latest_us")}


@pytest.mark.usefixtures("small")
def test_starts_on_memory() -> None:
    async def play() -> None:
        for seed in range(60):
            store = MemoryStore()
            await starts_like_one_by_one(store, store, "main", seed)

    asyncio.run(play())


@pytest.mark.usefixtures("small")
def test_starts_on_sqlite(tmp_path: Path) -> None:
    async def play() -> None:
        for seed in range(60):
            stores = [SqliteStore(tmp_path / "ledger.db") for _ in range(2)]
            await starts_like_one_by_one(*stores, f"game-{seed}", seed)

    asyncio.run(play())


@pytest.mark.usefixtures("small")
def test_starts_on_neo4j(neo4j_uri: str, ledger_name: str) -> None:
    async def play() -> None:
        for seed in range(10):
            stores = [Neo4jStore(neo4j_uri) for _ in range(2)]
            await starts_like_one_by_one(*stores, f"{ledger_name}-{seed}", seed)

    asyncio.run(play())


@pytest.fixture
def file(tmp_path: Path, small: None) -> Path:
    """A ledger of 40 entries that left no checkpoint."""
    path = tmp_path / "ledger.db"
    with Ledger.open(f"sqlite:///{path}") as ledger:
        for number in range(40):
            ledger.record("belief", number, key=f"b/{number}")
    return path


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE entry SET envelope = replace(envelope, '\"seq\"', '\"sep\"') WHERE seq = 17", "behind 14"),
        ("UPDATE entry SET envelope = substr(envelope, 2) WHERE seq = 17", "behind 14"),
        ("UPDATE entry SET envelope = replace(envelope, '\"key\"', '\"kex\"') WHERE seq = 17", "behind 14"),
        (
            "UPDATE entry SET envelope = replace(envelope, 'sha256:', 'sha256:é') WHERE seq = 17",
            "one of the entries 15 to 21",
        ),
        ("UPDATE entry SET hash = substr(hash, 2) WHERE seq = 17", "behind 14"),
        ("DELETE FROM entry WHERE seq = 17", "entry 18 follows 16"),
        ("UPDATE entry SET envelope = replace(envelope, ':17}', ':16}') WHERE seq = 17", "entry 16 follows 16"),
    ],
)
def test_a_damaged_page_names_itself(damage: str, named: str, file: Path) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
        assert other.execute(damage).rowcount == 1
    with pytest.raises(Corrupt, match=named):
        Ledger.open(f"sqlite:///{file}")


@pytest.mark.parametrize(
    "bad",
    [
        {"digest": "sha256:" + 64 * "z"},
        {"because": ((900,),)},
        {"version": 1 << 31},
        {"occurred_at_us": -(1 << 63) - 1},
    ],
    ids=lambda bad: next(iter(bad)),
)
@pytest.mark.parametrize("apply", [live.apply_each, building.apply_all])
async def test_of_what_cannot_be_read_nothing_is_told(
    apply: Callable[[Index, Sequence[Entry]], None], bad: dict[str, Any]
) -> None:
    """
    399 entries and one that makes no sense     -> corrupt, and nothing of them is known
    the same again                              -> the same
    without that one                            -> they are there
    """
    store = MemoryStore()
    with Ledger.open(store) as ledger:
        for number in range(400):
            ledger.record("belief", number, key=f"b/{number}")
    entries = [sealed.entry for sealed in await store.read("main", 0)]
    damaged = [*entries[:-1], msgspec.structs.replace(entries[-1], **bad)]
    here = live.Live(store, "main")
    for _ in range(2):
        with pytest.raises(Corrupt, match=r"'main' is damaged: (entry|one of the entries 1 to) 400 cannot be read"):
            here._take_on(stretches.Stretch(damaged, bytes(32 * 400)), apply)
        assert here.head.seq == here.index.upto == 0
        assert here.heard_s == -math.inf
    here._take_on(stretches.Stretch(entries[:-1], bytes(32 * 399)), apply)
    assert here.head.seq == here.index.upto == len(here.index.keys) == 399


async def test_more_than_one_text_of_the_engine_can_hold(file: Path) -> None:
    """SQLite gives a page as one text up to its limit, a gigabyte; what is more comes row by row."""
    store = SqliteStore(file)
    await store.open(create=False)
    whole = await store.collect("main", 0)

    def limit(connection: sqlite3.Connection) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000)

    await store._reading.run(limit)
    assert await store.collect("main", 0) == whole
    await store.close()
