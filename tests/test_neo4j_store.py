"""The Neo4j store against real servers: what the port promises, and what only this engine can get wrong."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import random
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import neo4j.exceptions
import pytest
from msgspec.structs import replace
from neo4j_server import Neo4jServer

import ledger.store.neo4j as neo4j_store
from ledger import errors
from ledger.assets import asset
from ledger.errors import (
    BadAddress,
    Corrupt,
    HeadMoved,
    LedgerError,
    Locked,
    NoSuchDatabase,
    SchemaMismatch,
    StoreError,
    Unavailable,
)
from ledger.model.edges import EDGE_TYPES
from ledger.model.entry import (
    EMPTY,
    GENESIS,
    KINDS,
    Approval,
    Attempt,
    Belief,
    Context,
    Decision,
    Dependency,
    Entry,
    Expiry,
    Head,
    Justification,
    Mutation,
    Reinstatement,
    Request,
    Revocation,
    Sealed,
    Verification,
    chain_hash,
    seal,
)
from ledger.store import neo4j_nodes
from ledger.store.base import NodeState
from ledger.store.neo4j import Migration, Neo4jStore, migrations, query_text

NOW_US = 1_767_225_600_000_000
LARGE = '{"text":"' + "ü" * 100_000 + '"}'


@pytest.fixture
async def store(neo4j_uri: str) -> AsyncIterator[Neo4jStore]:
    one = Neo4jStore(neo4j_uri)
    await one.open(create=True)
    yield one
    await one.close()


def sealed(before: Head, *drafts: tuple[Entry, str | None]) -> list[Sealed]:
    """Entries chained behind a head."""
    found: list[Sealed] = []
    for entry, content in drafts:
        found.append(seal(entry, found[-1].hash if found else before.hash, content))
    return found


def head_of(entries: list[Sealed]) -> Head:
    last = entries[-1]
    return Head(last.entry.seq, last.hash, last.entry.recorded_at_us)


def belief(seq: int, **fields: Any) -> Belief:
    return Belief(seq=seq, batch=seq, recorded_at_us=NOW_US + seq, digest=f"sha256:{seq:064x}", **fields)


def beliefs(before: Head, count: int, *, mark: str = "") -> list[Sealed]:
    """Plain entries behind a head, each resting on the one before; other marks give other hashes."""
    drafts: list[tuple[Entry, str | None]] = []
    for seq in range(before.seq + 1, before.seq + 1 + count):
        drafts.append((belief(seq, because=((seq - 1,),) if seq > 1 else (), actor=mark or None), f'{{"n":{seq}}}'))
    return sealed(before, *drafts)


def every_kind() -> list[Sealed]:
    """A ledger page on which each kind of entry and of edge occurs."""

    def at(seq: int) -> dict[str, Any]:
        return {"seq": seq, "batch": seq, "recorded_at_us": NOW_US + seq}

    def record(seq: int, **fields: Any) -> dict[str, Any]:
        return at(seq) | {"digest": f"sha256:{seq:064x}"} | fields

    def answers(*outcomes: str) -> dict[str, Any]:
        return {"requests": tuple(Request(digest="sha256:0", outcome=outcome) for outcome in outcomes)}

    seen: dict[str, Any] = {"observed": ("sha256:1",)}
    return sealed(
        EMPTY,
        (Dependency(**record(1, key="policy/refund", actor='Zoë “Q” \\ "x" 🦉')), '{"limit":500}'),
        (Dependency(**record(2, key="policy/other", valid_until_us=NOW_US)), LARGE),
        (Belief(**record(3, key="refund-ok", because=((1, 2), (2,)), cites=(1,), occurred_at_us=NOW_US - 1)), "[]"),
        (Approval(**record(4, because=((3,),), valid_until_us=None)), '"€\\u0000\\n"'),
        (Mutation(**record(5, because=((4,),))), "null"),
        (Decision(**record(6, supersedes=(2,))), "1e30"),
        (Context(**record(7)), "0"),
        (Dependency(**record(8, key="policy/refund", version=2, amends=1)), '{"limit":200}'),
        (Verification(**at(9), targets=(1, 2, 1), observed=("sha256:1",) * 3, **answers("verified", "diverged")), None),
        (Justification(**at(10), targets=(3,), because=((8,),), supersedes=(6,), **seen, **answers("justified")), None),
        (Revocation(**at(11), targets=(1,), mode="quarantined", reason="why?", effective_at_us=NOW_US - 5), None),
        (Reinstatement(**at(12), targets=(1,), lifts=(11,), reason="fine"), None),
        (Attempt(**at(13), targets=(3,), **seen, **answers("withheld")), None),
        (Expiry(**at(14), targets=(2,)), None),
    )


async def ask(store: Neo4jStore, query: str, **parameters: Any) -> list[Any]:
    """Rows as a person would get them."""
    assert store._driver is not None
    result = await store._driver.execute_query(query, parameters, database_="neo4j")
    return [record.values() for record in result.records]


# --- The log ---------------------------------------------------------------------------------------------------------


async def test_every_kind_of_entry_comes_back_byte_for_byte(store: Neo4jStore, ledger_name: str) -> None:
    page = every_kind()
    assert {one.entry.kind for one in page} == set(KINDS)
    await store.append(ledger_name, EMPTY, page)
    assert await store.read(ledger_name, 0, content=True) == page
    assert await store.read(ledger_name, 0) == [replace(one, content=None) for one in page]
    assert await store.pick(ledger_name, [14, 2, 99, 2], content=True) == [page[13], page[1], page[1]]
    assert await store.pick(ledger_name, [3]) == [replace(page[2], content=None)]
    assert await store.head(ledger_name) == head_of(page)
    assert ledger_name in await store.ledgers()


async def test_what_does_not_exist_reads_as_nothing(store: Neo4jStore, ledger_name: str) -> None:
    assert await store.head(ledger_name) is None
    assert await store.read(ledger_name, 0) == []
    assert await store.pick(ledger_name, [1]) == []
    assert await store.read_states(ledger_name) == (0, {})
    assert ledger_name not in await store.ledgers()


async def test_ledgers_are_sorted_and_know_nothing_of_each_other(store: Neo4jStore, ledger_name: str) -> None:
    for name in (f"{ledger_name}-b", f"{ledger_name}-a"):
        await store.append(name, EMPTY, beliefs(EMPTY, 1, mark=name))
    assert [name for name in await store.ledgers() if name.startswith(ledger_name)] == [
        f"{ledger_name}-a",
        f"{ledger_name}-b",
    ]
    (one,) = await store.read(f"{ledger_name}-a", 0)
    assert one.entry.actor == f"{ledger_name}-a"


async def test_reading_takes_as_many_pages_as_the_limit_asks_for(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = beliefs(EMPTY, 25)
    await store.append(ledger_name, EMPTY, page)
    monkeypatch.setattr(neo4j_store, "PAGE_ENTRIES", 10)
    assert await store.read(ledger_name, 3, 17, content=True) == page[3:20]
    assert await store.read(ledger_name, 20, 10, content=True) == page[20:]
    assert await store.read(ledger_name, 0, content=True) == page
    assert await store.pick(ledger_name, range(25, 0, -1), content=True) == page[::-1]


async def test_contents_too_large_for_one_answer_come_in_several(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = sealed(EMPTY, *[(belief(seq), f'"{seq}{"x" * 9_000 * (seq % 3)}"') for seq in range(1, 10)])
    await store.append(ledger_name, EMPTY, page)
    monkeypatch.setattr(neo4j_nodes, "CHUNK_CHARS", 20_000)
    assert await store.read(ledger_name, 0, content=True) == page
    assert await store.pick(ledger_name, [8, 1, 2], content=True) == [page[7], page[0], page[1]]


async def test_a_group_of_several_statements_is_one_transaction(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_nodes, "CHUNK_ENTRIES", 4)
    first = beliefs(EMPTY, 10)
    await store.append(ledger_name, EMPTY, first)
    second = beliefs(head_of(first), 10)
    await store.append(ledger_name, head_of(first), second)
    assert await store.read(ledger_name, 0, content=True) == first + second

    third = beliefs(head_of(second), 10)
    broken = [*third[:8], seal(belief(29, because=((99,),)), third[7].hash, None)]
    with pytest.raises((Corrupt, KeyError)):
        await store.append(ledger_name, head_of(second), broken)
    assert await store.head(ledger_name) == head_of(second)
    assert len(await store.read(ledger_name, 0)) == 20


# --- The head --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 5])
async def test_the_loser_is_told_and_nothing_of_his_is_written(store: Neo4jStore, ledger_name: str, count: int) -> None:
    base = beliefs(EMPTY, 2)
    await store.append(ledger_name, EMPTY, base)
    winner = beliefs(head_of(base), 1, mark="winner")
    await store.append(ledger_name, head_of(base), winner)
    before = await ask(store, "MATCH (n {ledger: $l}) RETURN count(n), count {(n)-->()}", l=ledger_name)
    with pytest.raises(HeadMoved):
        await store.append(ledger_name, head_of(base), beliefs(head_of(base), count, mark="loser"))
    assert await store.read(ledger_name, 0, content=True) == base + winner
    assert await ask(store, "MATCH (n {ledger: $l}) RETURN count(n), count {(n)-->()}", l=ledger_name) == before
    ((keys,),) = await ask(store, "MATCH (l:Ledger {name: $l}) RETURN keys(l)", l=ledger_name)
    assert sorted(keys) == ["hash", "head", "name", "recorded_at"]


async def test_a_head_of_another_history_is_refused_though_its_number_fits(store: Neo4jStore, ledger_name: str) -> None:
    base = beliefs(EMPTY, 2)
    await store.append(ledger_name, EMPTY, base)
    forked = head_of(beliefs(EMPTY, 2, mark="fork"))
    with pytest.raises(HeadMoved):
        await store.append(ledger_name, forked, beliefs(forked, 1))
    assert await store.head(ledger_name) == head_of(base)


async def test_a_ledger_is_created_by_its_first_append_only(store: Neo4jStore, ledger_name: str) -> None:
    elsewhere = head_of(beliefs(EMPTY, 2))
    with pytest.raises(HeadMoved):
        await store.append(ledger_name, elsewhere, beliefs(elsewhere, 1))
    assert ledger_name not in await store.ledgers()
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))
    with pytest.raises(HeadMoved):
        await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))


async def test_of_two_first_appends_at_once_one_wins(neo4j_uri: str, ledger_name: str) -> None:
    async with several(neo4j_uri, 2) as stores:
        for turn in range(5):
            name = f"{ledger_name}-{turn}"
            pages = [beliefs(EMPTY, 3, mark=mark) for mark in ("a", "b")]
            outcomes = await asyncio.gather(
                *(one.append(name, EMPTY, page) for one, page in zip(stores, pages, strict=True)),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes if outcome is not None] == [HeadMoved]
            assert await stores[0].read(name, 0, content=True) == pages[outcomes.index(None)]


async def test_writers_that_compete_leave_one_chain_without_gaps(neo4j_uri: str, ledger_name: str) -> None:
    """A compare without a lock before it passes every other test: two would go in behind the same head."""
    async with several(neo4j_uri, 4) as stores:

        async def write(one: Neo4jStore) -> None:
            for _ in range(12):
                while True:
                    head = await one.head(ledger_name) or EMPTY
                    with contextlib.suppress(HeadMoved):
                        await one.append(ledger_name, head, beliefs(head, 3, mark=str(id(one))))
                        break

        await asyncio.gather(*map(write, stores))
        log = await stores[0].read(ledger_name, 0)
    assert [one.entry.seq for one in log] == list(range(1, 4 * 12 * 3 + 1))
    assert_chained(log)


@contextlib.asynccontextmanager
async def several(uri: str, count: int) -> AsyncIterator[list[Neo4jStore]]:
    """Stores as several processes have them."""
    stores = [Neo4jStore(uri) for _ in range(count)]
    for one in stores:
        await one.open(create=True)
    yield stores
    for one in stores:
        await one.close()


def assert_chained(log: list[Sealed]) -> None:
    previous = GENESIS
    for one in log:
        assert chain_hash(one.envelope, previous) == one.hash
        previous = one.hash


# --- What people see -------------------------------------------------------------------------------------------------


async def test_the_graph_says_what_the_entries_say(store: Neo4jStore, ledger_name: str) -> None:
    page = every_kind()
    # The second half names entries of the first: both ways to find the other end of an edge.
    await store.append(ledger_name, EMPTY, page[:7])
    await store.append(ledger_name, head_of(page[:7]), page[7:])
    rows = await ask(
        store,
        "MATCH (a {ledger: $l})-[r]->(b {ledger: $l}) RETURN a.seq, type(r), r.justification, b.seq",
        l=ledger_name,
    )
    assert {name for _, name, _, _ in rows} == set(EDGE_TYPES)
    assert sorted(map(tuple, rows), key=str) == sorted(
        [
            (3, "BECAUSE", 0, 1),
            (3, "BECAUSE", 0, 2),
            (3, "BECAUSE", 1, 2),
            (3, "CITES", None, 1),
            (4, "BECAUSE", 0, 3),
            (5, "BECAUSE", 0, 4),
            (6, "SUPERSEDES", None, 2),
            (8, "AMENDS", None, 1),
            (9, "VERIFIES", None, 1),
            (9, "VERIFIES", None, 2),
            (10, "BECAUSE", 0, 8),
            (10, "SUPERSEDES", None, 6),
            (10, "SUPPORTS", None, 3),
            (11, "REVOKES", None, 1),
            (12, "LIFTS", None, 11),
            (12, "REINSTATES", None, 1),
            (13, "ATTEMPTS", None, 3),
            (14, "EXPIRES", None, 2),
        ],
        key=str,
    )


async def test_nodes_carry_what_people_ask_for(store: Neo4jStore, ledger_name: str) -> None:
    await store.append(ledger_name, EMPTY, every_kind())
    nodes = {
        node["seq"]: (labels, dict(node))
        for node, labels in await ask(store, "MATCH (n:Entry {ledger: $l}) RETURN n, labels(n)", l=ledger_name)
    }
    assert all(set(labels) == {"Entry", node["kind"].capitalize()} for labels, node in nodes.values())

    shown = {name: value for name, value in nodes[3][1].items() if name not in ("envelope", "hash")}
    assert shown == {
        "ledger": ledger_name, "seq": 3, "batch": 3, "kind": "belief", "key": "refund-ok", "version": 1,
        "digest": f"sha256:{3:064x}", "content": "[]",
        "recorded_at": "2026-01-01T00:00:00.000003Z", "occurred_at": "2025-12-31T23:59:59.999999Z",
    }  # fmt: skip
    assert nodes[2][1]["valid_until"] == "2026-01-01T00:00:00.000000Z"
    assert "valid_until" not in nodes[4][1]
    assert nodes[9][1]["outcomes"] == ["diverged", "verified"]
    revocation = nodes[11][1]
    assert (revocation["mode"], revocation["reason"], revocation["effective_at"]) == (
        "quarantined",
        "why?",
        "2025-12-31T23:59:59.999995Z",
    )
    ((head,),) = await ask(store, "MATCH (l:Ledger {name: $l}) RETURN l", l=ledger_name)
    assert dict(head) == {
        "name": ledger_name, "head": 14, "hash": every_kind()[-1].hash.hex(),
        "recorded_at": "2026-01-01T00:00:00.000014Z",
    }  # fmt: skip


async def test_an_erasure_drops_contents_in_the_same_commit(store: Neo4jStore, ledger_name: str) -> None:
    old = beliefs(EMPTY, 3)
    await store.append(ledger_name, EMPTY, old)
    fourth = belief(4)
    erasure = Revocation(seq=5, batch=5, recorded_at_us=NOW_US, targets=(2,), mode="erased", erases=(2, 4))
    new = sealed(head_of(old), (fourth, '"written and erased in one group"'), (erasure, None))
    await store.append(ledger_name, head_of(old), new)
    log = await store.read(ledger_name, 0, content=True)
    assert [one.content for one in log] == ['{"n":1}', None, '{"n":3}', None, None]
    assert [one.envelope for one in log] == [one.envelope for one in old + new]
    assert await ask(store, "MATCH (n:Entry {ledger: $l, seq: 2}) RETURN n.content", l=ledger_name) == [[None]]


# --- States ----------------------------------------------------------------------------------------------------------


async def test_one_holds_the_lease_until_it_ends(store: Neo4jStore, ledger_name: str) -> None:
    assert await store.take_lease(ledger_name, "a", 60) is None  # there is no such ledger, and none is made
    assert ledger_name not in await store.ledgers()
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))
    assert await store.take_lease(ledger_name, "a", 0.3) == 0
    assert await store.take_lease(ledger_name, "a", 0.6) == 0
    assert await store.take_lease(ledger_name, "b", 60) is None
    await asyncio.sleep(0.7)
    assert await store.take_lease(ledger_name, "b", 60) == 0
    assert await store.take_lease(ledger_name, "a", 60) is None


async def test_of_many_who_want_the_lease_at_once_one_gets_it(neo4j_uri: str, ledger_name: str) -> None:
    async with several(neo4j_uri, 4) as stores:
        await stores[0].append(ledger_name, EMPTY, beliefs(EMPTY, 1))
        got = await asyncio.gather(
            *(one.take_lease(ledger_name, str(number), 60) for number, one in enumerate(stores * 3))
        )
        assert [seq for seq in got if seq is not None] == [0]


async def test_states_are_written_and_never_go_back(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_store, "CHUNK_STATES", 2)
    monkeypatch.setattr(neo4j_store, "PAGE_STATES", 2)
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 5))
    assert await store.read_states(ledger_name) == (0, dict.fromkeys(range(1, 6), (None, None)))
    assert await store.take_lease(ledger_name, "a", 60) == 0
    await store.write_states(ledger_name, "a", [NodeState(seq, "fresh", None) for seq in range(1, 6)], 4)
    await store.write_states(ledger_name, "a", [NodeState(2, "stale", "revoked"), NodeState(3, "fresh", "amended")], 5)
    expected = dict.fromkeys(range(1, 6), ("fresh", None)) | {2: ("stale", "revoked"), 3: ("fresh", "amended")}
    assert await store.read_states(ledger_name) == (5, expected)

    await store.write_states(ledger_name, "a", [NodeState(seq, "stale", "late") for seq in range(1, 6)], 3)
    assert await store.read_states(ledger_name) == (5, expected)
    assert await store.take_lease(ledger_name, "a", 60) == 5

    await store.write_states(ledger_name, "a", [NodeState(2, "fresh", None)], 6)
    assert await store.read_states(ledger_name) == (6, expected | {2: ("fresh", None)})


async def test_nothing_to_write_still_moves_how_far_states_go(store: Neo4jStore, ledger_name: str) -> None:
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))
    await store.take_lease(ledger_name, "a", 60)
    await store.write_states(ledger_name, "a", [], 1)
    assert await store.take_lease(ledger_name, "a", 60) == 1


async def test_records_are_born_with_their_state(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_nodes, "CHUNK_ENTRIES", 2)
    page = beliefs(EMPTY, 3)
    await store.append(ledger_name, EMPTY, page, [NodeState(1, "fresh", None), NodeState(3, "stale", "unsupported")])
    expected = {1: ("fresh", None), 2: (None, None), 3: ("stale", "unsupported")}
    assert await store.read_states(ledger_name) == (0, expected)
    assert await store.read(ledger_name, 0, content=True) == page

    # Born as of entry 3, they are newer than what was judged before that.
    await store.take_lease(ledger_name, "a", 60)
    await store.write_states(ledger_name, "a", [NodeState(seq, "stale", "late") for seq in (1, 2, 3)], 2)
    assert await store.read_states(ledger_name) == (2, expected | {2: ("stale", "late")})


async def test_events_have_no_state(store: Neo4jStore, ledger_name: str) -> None:
    await store.append(ledger_name, EMPTY, every_kind())
    _, states = await store.read_states(ledger_name)
    assert sorted(states) == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_who_lost_the_lease_is_told(store: Neo4jStore, ledger_name: str) -> None:
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))
    await store.take_lease(ledger_name, "b", 60)
    for states in ([], [NodeState(1, "stale", None)]):
        with pytest.raises(Locked):
            await store.write_states(ledger_name, "a", states, 1)
    assert await store.read_states(ledger_name) == (0, {1: (None, None)})


async def test_of_states_written_at_once_the_newer_stay(neo4j_uri: str, ledger_name: str) -> None:
    async with several(neo4j_uri, 3) as stores:
        await stores[0].append(ledger_name, EMPTY, beliefs(EMPTY, 50))
        for turn in range(1, 9):
            writes = [
                one._ask(
                    "write_states",
                    ledger=ledger_name,
                    upto=upto,
                    states=[[seq, str(upto), None] for seq in range(1, 51)],
                )
                for one, upto in zip(stores, (3 * turn, 3 * turn + 2, 3 * turn + 1), strict=True)
            ]
            await asyncio.gather(*writes)
            _, states = await stores[0].read_states(ledger_name)
            assert set(states.values()) == {(str(3 * turn + 2), None)}


# --- Plans -----------------------------------------------------------------------------------------------------------

SAMPLES: dict[str, dict[str, Any]] = {
    "advance_states": {"ledger": "x", "holder": "a", "upto": 1},
    "append": {
        "ledger": "x", "expects": 1, "expects_hash": "00", "head": {"head": 2}, "earlier": [1],
        "rows": [{"label": "Belief", "properties": {"seq": 2}}], "edges": [[1, 0, "BECAUSE", 0]], "erased": [1],
    },
    "constraints": {},
    "create_ledger": {"ledger": "x", "genesis": "00"},
    "drop_index": {"name": "x"},
    "head": {"ledger": "x"},
    "ledgers": {},
    "migrations": {},
    "pick": {"ledger": "x", "seqs": [1], "content": True, "whole": 1},
    "put_tag": {"ledger": "x", "name": "v", "seq": 1, "hash": "00"},
    "read": {"ledger": "x", "after": 0, "upto": 1, "content": True, "most": 1, "whole": 1},
    "read_states": {"ledger": "x", "after": 0, "upto": 1},
    "states_upto": {"ledger": "x"},
    "collect": {"ledger": "x", "after": 0, "upto": 10},
    "record_migration": {"number": 1, "name": "x", "checksum": "00", "applied_at": "2026"},
    "tags": {"ledger": "x"},
    "take_lease": {"ledger": "x", "holder": "a", "lease_ms": 1},
    "unowned_indexes": {"names": ["x"]},
    "write_states": {"ledger": "x", "states": [[1, "fresh", None]], "upto": 1},
}  # fmt: skip
QUERIES = sorted(path.stem for path in asset("cypher", "queries").glob("*.cypher"))
OF_THE_SCHEMA = {"constraints", "drop_index", "unowned_indexes"}  # they ask for no node


@pytest.mark.parametrize("name", sorted(set(QUERIES) - OF_THE_SCHEMA))
async def test_each_query_finds_by_index(store: Neo4jStore, name: str) -> None:
    assert store._driver is not None
    result = await store._driver.execute_query("EXPLAIN " + query_text(name), SAMPLES[name], database_="neo4j")
    assert result.summary.plan is not None
    operators = {operator.partition("@")[0] for operator in operators_of(result.summary.plan)}
    scans = {operator for operator in operators if operator.endswith("Scan")}
    assert not scans
    # MergeUniqueNode is how 2026 finds or makes a node through its constraint.
    assert any("IndexSeek" in operator or operator == "MergeUniqueNode" for operator in operators), operators


def operators_of(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["operatorType"]
    for child in plan.get("children", ()):
        yield from operators_of(child)


@pytest.mark.parametrize("name", QUERIES)
def test_each_query_says_what_it_does_takes_and_uses(name: str) -> None:
    text = query_text(name)
    head = "".join(itertools.takewhile(lambda line: line.startswith("//"), text.splitlines(keepends=True)))
    assert head.startswith("// ")
    assert name in OF_THE_SCHEMA or "// uses constraint" in head
    assert "RETURN" not in text or "// -> " in head
    assert (
        set(re.findall(r"\$(\w+)", head)) == set(re.findall(r"\$(\w+)", text.removeprefix(head))) == set(SAMPLES[name])
    )


# --- The schema ------------------------------------------------------------------------------------------------------


async def test_a_fresh_database_is_only_read_until_it_is_written_to() -> None:
    with Neo4jServer() as server:
        looking = Neo4jStore(server.uri)
        await looking.open(create=False)
        assert await looking.ledgers() == []
        assert await looking.head("main") is None
        assert await looking.read("main", 0) == []
        assert await ask(looking, "MATCH (n) RETURN count(n)") == [[0]]
        assert await ask(looking, "SHOW CONSTRAINTS") == []

        # Many prepare it at once; all but one meet deadlocks or find it done.
        stores = [Neo4jStore(server.uri) for _ in range(4)]
        await asyncio.gather(*(one.open(create=True) for one in stores))
        assert len(await ask(looking, "SHOW CONSTRAINTS")) == 4
        applied = "MATCH (m:LedgerMigration) RETURN m.name ORDER BY m.number"
        assert await ask(looking, applied) == [["0001_ledger"], ["0002_tag"]]

        # Who opened it before it was prepared goes on.
        await looking.append("main", EMPTY, beliefs(EMPTY, 1))
        assert await stores[0].ledgers() == ["main"]
        for one in [looking, *stores]:
            await one.close()


async def test_a_migration_is_remembered_and_applied_once(store: Neo4jStore) -> None:
    assert await store.migrate() == []
    rows = await ask(store, "MATCH (m:LedgerMigration) RETURN m.number, m.name, m.checksum ORDER BY m.number")
    assert rows == [[one.number, one.name, one.checksum] for one in migrations()]
    assert [one.number for one in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("create", [True, False])
async def test_a_migration_that_was_changed_since_is_refused(store: Neo4jStore, neo4j_uri: str, create: bool) -> None:
    checksum = migrations()[0].checksum
    change = "MATCH (m:LedgerMigration {number: 1}) SET m.checksum = $checksum"
    await ask(store, change, checksum="of an older text")
    try:
        with pytest.raises(SchemaMismatch, match=r"0001_ledger.*changed"):
            await Neo4jStore(neo4j_uri).open(create=create)
    finally:
        await ask(store, change, checksum=checksum)


@pytest.mark.parametrize("create", [True, False])
async def test_a_database_of_a_newer_version_is_refused(store: Neo4jStore, neo4j_uri: str, create: bool) -> None:
    await ask(store, "CREATE (:LedgerMigration {number: 9, name: '0009_later', checksum: ''})")
    try:
        with pytest.raises(SchemaMismatch, match=r"0009_later.*newer"):
            await Neo4jStore(neo4j_uri).open(create=create)
    finally:
        await ask(store, "MATCH (m:LedgerMigration {number: 9}) DELETE m")


async def test_an_older_database_is_brought_up_where_writing_is_allowed(
    store: Neo4jStore, neo4j_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = Migration(3, "0003_later", "// Nothing.\nRETURN 1;\n\nMATCH (n:LedgerTest) DELETE n;\n")
    monkeypatch.setattr(neo4j_store, "migrations", lambda: (*migrations(), later))
    other = Neo4jStore(neo4j_uri)
    try:
        with pytest.raises(SchemaMismatch, match=r"0003_later.*ledger migrate"):
            await other.open(create=False)
        await other.open(create=True)
        await other.close()
        await other.open(create=False)
        await other.close()
    finally:
        await ask(store, "MATCH (m:LedgerMigration {number: 3}) DELETE m")


async def test_an_index_whose_constraint_was_cut_off_is_dropped(
    store: Neo4jStore, neo4j_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Who is cut off while the server makes a constraint leaves its index behind, one time in six or so.
    last = migrations()[-1]
    make, name = last.statements[0], last.constraints[0].name
    await ask(store, "MATCH (m:LedgerMigration {number: $number}) DELETE m", number=last.number)
    moments = random.Random(2)
    takes_s = 0.0
    for turn in range(200):
        await ask(store, f"DROP CONSTRAINT {name} IF EXISTS")
        begun = time.perf_counter()
        async with neo4j.AsyncGraphDatabase.driver(neo4j_uri) as driver:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(moments.uniform(0.2, 1.0) * takes_s if turn else None):
                    await driver.execute_query(neo4j.Query(make))
                    takes_s = time.perf_counter() - begun
        await asyncio.sleep(0.1)
        if left := await store._unowned_indexes(last):
            await asyncio.sleep(1.5)  # the server looks once a second whether who asked is still there
            if left == await store._unowned_indexes(last):
                break
    else:
        pytest.skip("this server leaves none")

    monkeypatch.setattr(neo4j_store, "UNOWNED_S", 0.5)
    stores = [Neo4jStore(neo4j_uri) for _ in range(3)]
    await asyncio.gather(*(one.open(create=True) for one in stores))
    for one in stores:
        await one.close()
    assert await ask(store, "SHOW INDEXES YIELD id WHERE id IN $ids", ids=[id for id, *_ in left]) == []
    assert await ask(store, "SHOW CONSTRAINTS YIELD name WHERE name = $name", name=name) == [[name]]
    assert await store.migrate() == []


@pytest.mark.parametrize(
    ("theirs", "drop"),
    [
        ("CREATE INDEX {name} FOR (n:TheirNode) ON (n.name)", "DROP INDEX {name} IF EXISTS"),
        ("CREATE CONSTRAINT {name} FOR (n:TheirNode) REQUIRE n.name IS UNIQUE", "DROP CONSTRAINT {name} IF EXISTS"),
    ],
    ids=["index", "constraint"],
)
async def test_what_others_gave_the_name_of_a_constraint_is_told_and_left_alone(
    store: Neo4jStore, neo4j_uri: str, monkeypatch: pytest.MonkeyPatch, theirs: str, drop: str
) -> None:
    last = migrations()[-1]
    name = last.constraints[0].name
    monkeypatch.setattr(neo4j_store, "UNOWNED_S", 0.5)
    other = Neo4jStore(neo4j_uri)
    try:
        await ask(store, "MATCH (m:LedgerMigration {number: $number}) DELETE m", number=last.number)
        await ask(store, f"DROP CONSTRAINT {name}")
        await ask(store, theirs.format(name=name))
        await ask(store, "CALL db.awaitIndexes(30)")
        async with asyncio.timeout(neo4j_store.RACE_S / 2):
            with pytest.raises(SchemaMismatch, match=rf" {name}.*drop it"):
                await other.open(create=True)
        assert await ask(store, "SHOW INDEXES YIELD name WHERE name = $name", name=name) == [[name]]
    finally:
        await ask(store, drop.format(name=name))
        applied = await store.migrate()
    assert applied == [last.name]


def test_the_constraints_of_a_migration_are_read_from_its_text() -> None:
    found = [constraint for migration in migrations() for constraint in migration.constraints]
    assert [name for name, *_ in found] == re.findall(
        r"CREATE CONSTRAINT (\w+)", "".join(one.text for one in migrations())
    )
    assert ("ledger_entry_seq", "Entry", ["ledger", "seq"]) in found
    assert ("ledger_name", "Ledger", ["name"]) in found


# --- Trouble ---------------------------------------------------------------------------------------------------------


async def test_an_unknown_database_is_named(neo4j_uri: str) -> None:
    for uri in (neo4j_uri, neo4j_uri.replace("bolt:", "neo4j:")):
        with pytest.raises(NoSuchDatabase, match="nowhere"):
            await Neo4jStore(f"{uri}/nowhere").open(create=True)


async def test_the_database_may_be_named_and_the_server_be_a_cluster(neo4j_uri: str, ledger_name: str) -> None:
    one = Neo4jStore(f"{neo4j_uri.replace('bolt:', 'neo4j:')}/neo4j")
    await one.open(create=True)
    page = beliefs(EMPTY, 2)
    await one.append(ledger_name, EMPTY, page)
    assert await one.read(ledger_name, 0, content=True) == page
    await one.close()


async def test_no_server_is_told_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused
        started = time.monotonic()
        with pytest.raises(Unavailable, match="refused"):
            await Neo4jStore(f"bolt://127.0.0.1:{taken.getsockname()[1]}").open(create=True)
    assert time.monotonic() - started < 3


async def test_a_server_that_says_nothing_is_given_up_within_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Unavailable):
            await Neo4jStore(f"bolt://127.0.0.1:{silent.getsockname()[1]}").open(create=True)
    assert time.monotonic() - started < 8


async def test_what_is_no_neo4j_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as web:

        def answer() -> None:
            connection, _ = web.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(Unavailable, match="HTTP"):
            await Neo4jStore(f"bolt://127.0.0.1:{web.getsockname()[1]}").open(create=True)


async def test_a_statement_that_takes_too_long_is_given_up_here_and_there(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.append(ledger_name, EMPTY, beliefs(EMPTY, 1))
    assert store._driver is not None
    monkeypatch.setattr(neo4j_store, "ANSWER_S", 0.5)
    async with store._driver.session(database="neo4j") as session, await session.begin_transaction() as transaction:
        await (await transaction.run("MATCH (l:Ledger {name: $l}) SET l.lock = true", l=ledger_name)).consume()
        with pytest.raises(Unavailable):
            await store.take_lease(ledger_name, "a", 60)
    monkeypatch.undo()
    assert await store.take_lease(ledger_name, "a", 60) == 0


async def test_a_caller_who_stops_waiting_leaves_the_store_usable(store: Neo4jStore, ledger_name: str) -> None:
    page = beliefs(EMPTY, 200)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(store.append(ledger_name, EMPTY, page), 0.005)
    while await store.head(ledger_name) is None:
        with contextlib.suppress(HeadMoved):
            await store.append(ledger_name, EMPTY, page)
    assert await store.read(ledger_name, 0, content=True) == page


async def test_a_store_that_is_not_open_says_so(neo4j_uri: str) -> None:
    one = Neo4jStore(neo4j_uri)
    with pytest.raises(StoreError, match="not open"):
        await one.head("main")
    await one.open(create=True)
    await one.close()
    await one.close()
    with pytest.raises(StoreError, match="not open"):
        await one.head("main")


async def test_damage_is_seen_and_never_read_over(
    store: Neo4jStore, ledger_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neo4j_store, "SETTLING_S", (0, 0))
    page = beliefs(EMPTY, 4)
    await store.append(ledger_name, EMPTY, page)
    await ask(store, "MATCH (n:Entry {ledger: $l, seq: 2}) DETACH DELETE n", l=ledger_name)
    with pytest.raises(Corrupt, match="gap"):
        await store.read(ledger_name, 0)
    with pytest.raises(Corrupt, match="missing"):
        await store.append(ledger_name, head_of(page), sealed(head_of(page), (belief(5, because=((2,),)), "1")))
    await ask(store, "MATCH (n:Entry {ledger: $l, seq: 3}) SET n.envelope = '{}'", l=ledger_name)
    with pytest.raises(Corrupt, match="cannot be read"):
        await store.pick(ledger_name, [3])
    await ask(store, "MATCH (n:Entry {ledger: $l, seq: 4}) DETACH DELETE n", l=ledger_name)
    with pytest.raises(Corrupt, match="last entry"):
        await store.head(ledger_name)
    await ask(store, "MATCH (l:Ledger {name: $l}) SET l.head = 2, l.hash = $h", l=ledger_name, h=page[1].hash.hex())
    with pytest.raises(Corrupt, match="none should be"):
        await store.append(ledger_name, head_of(page[:2]), sealed(head_of(page[:2]), (belief(3), "1")))


async def test_what_was_acknowledged_survives_the_death_of_the_server(
    neo4j_server: Neo4jServer, ledger_name: str
) -> None:
    store = Neo4jStore(neo4j_server.uri)
    await store.open(create=True)
    head = EMPTY
    acknowledged: list[Sealed] = []
    tried: list[Sealed] = []
    killer: asyncio.Task[None] | None = None

    async def write_on() -> None:
        nonlocal head, tried, killer
        while True:
            tried = beliefs(head, 2)
            await store.append(ledger_name, head, tried)
            acknowledged.extend(tried)
            head = head_of(tried)
            if head.seq == 40:
                killer = asyncio.create_task(asyncio.to_thread(neo4j_server.kill))

    with pytest.raises(Unavailable):
        await write_on()
    assert killer is not None
    await killer
    with pytest.raises(Unavailable):
        await store.head(ledger_name)

    await asyncio.to_thread(neo4j_server.start)
    log = await store.read(ledger_name, 0, content=True)
    assert log in (acknowledged, acknowledged + tried)  # of the last commit the outcome was not known
    assert_chained(log)
    # The same store goes on; what was in doubt is settled by reading.
    if log == acknowledged:
        await store.append(ledger_name, head, tried)
    assert await store.head(ledger_name) == head_of(tried)
    await store.close()


# --- Errors and addresses --------------------------------------------------------------------------------------------

DRIVER_ERRORS = sorted(
    (
        kind
        for _, kind in inspect.getmembers(neo4j.exceptions, inspect.isclass)
        if issubclass(kind, neo4j.exceptions.GqlError)
    ),
    key=lambda kind: kind.__name__,
)


class Failing:
    """A driver whose every session fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def session(self, **_: Any) -> Any:
        raise self.error

    async def close(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    "kind", [*DRIVER_ERRORS, OSError, TimeoutError, ConnectionResetError], ids=lambda kind: kind.__name__
)
async def test_no_error_of_the_driver_leaves_unmapped(kind: type[Exception]) -> None:
    store = Neo4jStore("bolt://localhost")
    calls = (
        store.head("main"),
        store.append("main", EMPTY, beliefs(EMPTY, 1)),
        store.append("main", Head(1, b"1", 1), beliefs(Head(1, b"1", 1), 1)),
        store.read("main", 0),
        store.write_states("main", "a", [], 1),
        store.open(create=False),
        store.close(),
    )
    for call in calls:
        store._driver = Failing(kind("boom"))  # type: ignore[assignment]
        with pytest.raises(LedgerError) as caught:
            await call
        assert caught.value.__cause__ is not None
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Neo.ClientError.Database.DatabaseNotFound", "NoSuchDatabase"),
        ("Neo.ClientError.Security.Unauthorized", "BadAddress"),
        ("Neo.ClientError.Security.TokenExpired", "BadAddress"),
        ("Neo.ClientError.Security.CredentialsExpired", "BadAddress"),
        ("Neo.ClientError.Security.AuthenticationRateLimit", "Unavailable"),
        ("Neo.ClientError.Security.Forbidden", "ReadOnly"),
        ("Neo.ClientError.General.ForbiddenOnReadOnlyDatabase", "ReadOnly"),
        ("Neo.ClientError.General.TransactionOutOfMemoryError", "TooLarge"),
        ("Neo.ClientError.Cluster.NotALeader", "Unavailable"),
        ("Neo.ClientError.Transaction.TransactionTimedOut", "Unavailable"),
        ("Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration", "Unavailable"),
        ("Neo.ClientError.Transaction.Terminated", "Unavailable"),
        ("Neo.ClientError.Schema.ConstraintValidationFailed", "Corrupt"),
        ("Neo.ClientError.Schema.ConstraintWithNameAlreadyExists", "SchemaMismatch"),
        ("Neo.ClientError.Schema.IndexAlreadyExists", "SchemaMismatch"),
        ("Neo.ClientError.Schema.EquivalentSchemaRuleAlreadyExists", "Unavailable"),
        ("Neo.ClientError.Statement.SyntaxError", "StoreError"),
        ("Neo.DatabaseError.Schema.ConstraintCreationFailed", "SchemaMismatch"),
        ("Neo.DatabaseError.Transaction.TransactionCommitFailed", "Unavailable"),
        ("Neo.DatabaseError.General.UnknownError", "Unavailable"),
        ("Neo.TransientError.Transaction.DeadlockDetected", "Unavailable"),
        ("Neo.TransientError.General.MemoryPoolOutOfMemoryError", "Unavailable"),
        ("Neo.TransientError.General.DatabaseUnavailable", "Unavailable"),
    ],
)
async def test_codes_of_the_server_say_which_error_it_is(code: str, expected: str) -> None:
    store = Neo4jStore("bolt://localhost/db")
    store._driver = Failing(neo4j.exceptions.Neo4jError._hydrate_neo4j(code=code, message="first\nsecond"))  # type: ignore[assignment]
    with pytest.raises(LedgerError) as caught:
        await store.head("main")
    assert type(caught.value) is getattr(errors, expected)
    assert caught.value.details["neo4j_code"] == code
    assert str(caught.value).startswith("bolt://localhost/db: ")
    assert str(caught.value).endswith("(first)")


@pytest.mark.parametrize(
    ("address", "uri", "database", "auth"),
    [
        ("bolt://localhost", "bolt://localhost", "neo4j", None),
        ("bolt://localhost:7687/", "bolt://localhost:7687", "neo4j", None),
        ("neo4j+s://db.example.org/acme", "neo4j+s://db.example.org", "acme", None),
        ("neo4j+ssc://[::1]:7000/a.b-c", "neo4j+ssc://[::1]:7000", "a.b-c", None),
        ("bolt+s://ann:s%2Fe%40c%3A@h/db", "bolt+s://h", "db", ("ann", "s/e@c:")),
        ("bolt+ssc://ann@h", "bolt+ssc://h", "neo4j", ("ann", "")),
        ("bolt://:secret@h", "bolt://h", "neo4j", ("neo4j", "secret")),
    ],
)
def test_an_address_says_where_and_who(address: str, uri: str, database: str, auth: tuple[str, str] | None) -> None:
    place = Neo4jStore(address)._place
    assert (place.uri, place.database, place.auth) == (uri, database, auth)


def test_credentials_of_the_address_come_before_those_beside_it() -> None:
    assert Neo4jStore("bolt://h", user="ann", password="x")._place.auth == ("ann", "x")
    assert Neo4jStore("bolt://h", password="x")._place.auth == ("neo4j", "x")
    assert Neo4jStore("bolt://bob:y@h", user="ann", password="x")._place.auth == ("bob", "y")
    assert Neo4jStore("bolt://bob@h", user="ann", password="x")._place.auth == ("bob", "x")


@pytest.mark.parametrize(
    "address",
    [
        "bolt:", "bolt://", "bolt:///db", "http://ann:secret@h", "bolts://ann:secret@h", "ann:secret@h",
        "bolt://ann:secret@h:port", "bolt://ann:secret@h:99999", "bolt://ann:secret/1@h", "bolt://[::1", "bolt://ann/secret@h",
        "bolt://ann:secret@h/a/b", "bolt://ann:secret@h/system", "bolt://ann:secret@h/db?x=secret", "bolt://ann:secret@h#x",
    ],
)  # fmt: skip
def test_a_bad_address_is_refused_and_no_password_repeated(address: str) -> None:
    with pytest.raises(BadAddress) as caught:
        Neo4jStore(address)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(caught.value.details)


async def test_errors_never_show_the_password() -> None:
    with pytest.raises(Unavailable) as caught:
        await Neo4jStore("bolt://ann:secret@no-such-host.invalid/db").open(create=True)
    assert "secret" not in str(caught.value.as_dict())
    assert "no-such-host.invalid/db" in str(caught.value)
