"""Law 12 over GraphQL: every read `at` a past answers as it did then, and so does all that is reached from there."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from histories import Author

from ledger import AsyncLedger
from ledger.app import open_ledgers
from ledger.clock import SECOND, format_moment
from ledger.errors import Refused
from ledger.service.ledgers import Ledgers
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from ledger.testing import ManualClock
from tests.graphql_client import SCHEMA, ask, refused, told

READS = """
fragment Names on Entry { id ref ... on RecordEntry { verdict { state reason causeId } } }
fragment Whole on Entry {
  ...Names hash outcomes
  ... on RecordEntry {
    content
    verdict { ref checkedAt entry { ...Names } cause { ...Names } successor { ...Names } }
    because { ...Names because { ...Names withdrawnBy { ...Names } } }
    cites { ...Names } supersedes { ...Names } amends { ...Names }
    withdrawnBy { ...Names } supersededBy { ...Names }
  }
  ... on EventEntry { targets { ...Names } }
  ... on MutationEntry { remedy { needed causes { ...Names } } }
}
fragment Slice on GraphSlice {
  revision nodes { id ref kind state reason depth entry { ...Names } } edges { source type target } truncated hidden
}
query ($ref: ID!, $refs: [ID!]!, $at: String, $ledger: String! = "main") {
  entry(ledger: $ledger, ref: $ref, at: $at) { ...Whole }
  why(ledger: $ledger, ref: $ref, at: $at) { revision clock verdict { state reason entry { ...Names } }
    path { reason entry { ...Names } } }
  causes(ledger: $ledger, ref: $ref, limit: 50, at: $at) { ...Slice }
  consequences(ledger: $ledger, ref: $ref, limit: 50, at: $at) { ...Slice }
  entries(ledger: $ledger, first: 40, at: $at) { edges { cursor node { ...Whole } } pageInfo { hasNextPage endCursor } }
  last: entries(ledger: $ledger, first: 2, newestFirst: true, at: $at) { nodes { id } pageInfo { hasNextPage } }
  stale: entries(ledger: $ledger, filter: { state: stale, current: true }, at: $at) { nodes { ...Names } }
  remediation(ledger: $ledger, first: 1, at: $at) { nodes { ...Whole } pageInfo { hasNextPage endCursor } }
  freshness(ledger: $ledger, refs: $refs, at: $at) { revision clock fresh
    withheld { ref state reason causeId successorRef } verdicts { checkedAt entry { ...Names } cause { ...Names } } }
  aged: freshness(ledger: $ledger, refs: $refs, at: $at, maxAgeS: 5) { withheld { ref reason } }
  ledger(name: $ledger, at: $at) { revision head hash recordedAt clock kinds { kind count }
    states { state reason count } }
}
"""
"""Every read that takes `at`, and what can be reached from each; not `lagS`, which is that of the process."""

TIMELESS = {"ledgers", "tags", "diff", "impact", "planWithdrawal"}
"""Without a past, or with two; or of what is still to come."""
APART = {"history", "compare"}
"""Have tests of their own (test_differences.py, the laws of differing)."""

NAMES = ["p", "b", "m", "q", "@2", "m@1"]


async def everything(ledgers: Ledgers, ref: str, *, at: str | None = None, ledger: str = "main") -> Any:
    """What all reads tell, a refusal as its code."""
    data, errors = await told(ledgers, READS, ref=ref, refs=NAMES, at=at, ledger=ledger)
    assert all("path" in error for error in errors), errors
    return data, sorted((error["path"], error["extensions"]["code"]) for error in errors)


def but_contents(answer: Any) -> Any:
    """What was erased since is not told again, of no past."""
    if isinstance(answer, dict):
        return {name: but_contents(value) for name, value in answer.items() if name != "content"}
    return [but_contents(one) for one in answer] if isinstance(answer, list | tuple) else answer


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")


@pytest.fixture(autouse=True)
def only_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written beside: else an expiry is noted between two answers."""
    monkeypatch.setattr("ledger.service.expiry.LOOK_EVERY_S", 3_600)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def ledgers(store: Store, clock: ManualClock) -> AsyncIterator[Ledgers]:
    async with open_ledgers(store, clock=clock) as opened:
        yield opened


def record(key: str, content: Any = 1, kind: str = "belief", **more: Any) -> dict[str, Any]:
    return {"op": "record", "kind": kind, "content": content, "key": key, **more}


async def apply(ledgers: Ledgers, *commands: dict[str, Any], ledger: str = "main") -> str:
    """The revision they lead to."""
    service = await ledgers.get(ledger, create=True)
    for command in commands:
        await service.apply(command)
    return service.live.revision


def test_every_read_takes_at_and_is_asked_here() -> None:
    reads = {name: field for name, field in SCHEMA._schema.query_type.fields.items() if name not in TIMELESS}  # type: ignore[union-attr]
    assert [name for name, field in reads.items() if "at" not in field.args] == []
    assert [name for name in reads.keys() - APART if f"{name}(" not in READS] == []


async def test_every_read_as_of_each_revision(ledgers: Ledgers, clock: ManualClock, ledger_name: str) -> None:
    """Law 12: answers `at` a revision are those given when it was the last, whatever came later."""
    await as_of_each_revision(ledgers, clock, ledger_name)


async def test_every_read_as_of_each_revision_on_neo4j(neo4j_uri: str, clock: ManualClock, ledger_name: str) -> None:
    async with open_ledgers(neo4j_uri, clock=clock) as ledgers:
        await as_of_each_revision(ledgers, clock, ledger_name)


async def as_of_each_revision(ledgers: Ledgers, clock: ManualClock, ledger_name: str) -> None:
    steps = [
        record("p", 1, "dependency", valid_until=format_moment(clock.now_us + 60 * SECOND)),
        record("b", because=[["p"]]),
        record("m", 1, "mutation", because=[["b"]]),
        record("p", 1, "dependency"),
        {"op": "revoke", "target": "p", "mode": "quarantined"},
        record("m", 2, "mutation", because=[["b"]], cites=["p"]),
        record("q", 1, "dependency", supersedes=["p"]),
        record("b", 1, because=[["q"]]),
        {"op": "reinstate", "target": "p"},
        record("m", 3, "mutation", amends=2),
        record("p", 2, "dependency"),
        {"op": "verify", "target": "q", "digest": "sha256:" + "0" * 64},
    ]
    then = {}
    for step in steps:
        revision = await apply(ledgers, step, ledger=ledger_name)
        then[revision] = {ref: await everything(ledgers, ref, ledger=ledger_name) for ref in NAMES}
        clock.wait(10)
    assert len({str(answers) for answers in then.values()}) == len(steps)
    for revision, answers in then.items():
        for ref, expected in answers.items():
            assert await everything(ledgers, ref, at=revision, ledger=ledger_name) == expected, (revision, ref)


@pytest.mark.parametrize("block", range(3))
async def test_every_read_in_random_histories(block: int) -> None:
    """Law 12, as of each revision and as of a moment at which nothing happened."""
    for seed in range(block * 4, block * 4 + 4):
        author, clock, then, moments = Author(seed), ManualClock(), {}, {}
        async with open_ledgers(MemoryStore(), clock=clock) as ledgers:
            service = await ledgers.get("main", create=True)
            for _ in range(20):
                seconds, command = author.step(AsyncLedger(service))
                clock.wait(seconds)
                try:
                    await service.apply(command)
                except Refused:
                    continue
                ref = author.random.choice([f"@{service.live.head.seq}", "d/1", "b/1", "m/1"])
                then[service.live.revision] = ref, await everything(ledgers, ref)
                clock.wait(1)
                moments[format_moment(clock.now_us)] = ref, await everything(ledgers, ref)
                clock.wait(1)
            pasts = [*then.items(), *moments.items()]
            for at, (ref, expected) in random.Random(seed).sample(pasts, min(12, len(pasts))):
                found = await everything(ledgers, ref, at=at)
                assert but_contents(found) == but_contents(expected), f"seed {seed} {ref} at {at}"


async def test_two_pasts_in_one_operation(ledgers: Ledgers, ledger_name: str) -> None:
    """What one alias loads answers no other: the same entries are told as of each past, and as of now."""
    first = await apply(ledgers, record("p"), record("b", because=[["p"]]), ledger=ledger_name)
    second = await apply(ledgers, {"op": "revoke", "target": "p"}, ledger=ledger_name)
    await apply(ledgers, record("p", 2), ledger=ledger_name)
    text = """query ($l: String!, $first: String!, $second: String!) {
      first: entry(ledger: $l, ref: "b", at: $first) { ...B }
      second: entry(ledger: $l, ref: "b", at: $second) { ...B }
      now: entry(ledger: $l, ref: "b") { ...B }
      pages: entries(ledger: $l, filter: { about: "p" }, at: $first) { nodes { ...P } }
      again: entries(ledger: $l, filter: { about: "p" }, at: $second) { nodes { ...P } }
    }
    fragment B on BeliefEntry { verdict { reason causeId } because { ...P } }
    fragment P on Entry { id ... on RecordEntry { verdict { reason successorRef } withdrawnBy { id } } }"""
    data = await ask(ledgers, text, l=ledger_name, first=first, second=second)
    p = {"id": "@1", "verdict": {"reason": None, "successorRef": None}, "withdrawnBy": []}
    withdrawn = {"id": "@1", "verdict": {"reason": "revoked", "successorRef": None}, "withdrawnBy": [{"id": "@3"}]}
    replaced = {"id": "@1", "verdict": {"reason": "revoked", "successorRef": "p@2"}, "withdrawnBy": [{"id": "@3"}]}
    assert data == {
        "first": {"verdict": {"reason": None, "causeId": None}, "because": [[p]]},
        "second": {"verdict": {"reason": "unsupported", "causeId": "@3"}, "because": [[withdrawn]]},
        "now": {"verdict": {"reason": "unsupported", "causeId": "@3"}, "because": [[replaced]]},
        "pages": {"nodes": [p]},
        "again": {"nodes": [withdrawn, {"id": "@3"}]},
    }


async def test_pages_of_a_past_end_with_it(ledgers: Ledgers, ledger_name: str) -> None:
    """However the log grew since: a cursor leads on within the past."""
    at = await apply(ledgers, *(record(f"b/{number}") for number in range(5)), ledger=ledger_name)
    await apply(ledgers, *(record(f"c/{number}") for number in range(5)), ledger=ledger_name)
    text = """query ($l: String!, $at: String, $after: String) { entries(ledger: $l, first: 2, after: $after, at: $at) {
      nodes { seq } pageInfo { hasNextPage endCursor } } }"""
    seen, after, more = [], None, True
    while more:
        page = (await ask(ledgers, text, l=ledger_name, at=at, after=after))["entries"]
        seen += [node["seq"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert seen == [1, 2, 3, 4, 5]


FIELDS = [
    'entry(ref: "a", at: $at) { id }',
    "entries(at: $at) { nodes { id } }",
    'freshness(refs: ["a"], at: $at) { fresh }',
    'why(ref: "a", at: $at) { revision }',
    'causes(ref: "a", at: $at) { revision }',
    'consequences(ref: "a", at: $at) { revision }',
    "remediation(at: $at) { nodes { id } }",
    "ledger(at: $at) { head }",
]


@pytest.mark.parametrize("field", FIELDS)
async def test_what_is_no_past(field: str) -> None:
    """Another ledger's token, another history's, a moment to come, one without zone, and text that is neither."""
    clock = ManualClock()
    async with open_ledgers(MemoryStore(), clock=clock, reach_s=0.05) as ledgers:
        await apply(ledgers, record("a"))
        text = f"query ($at: String) {{ {field} }}"
        for at in ("main@1.00000000", "other@1.00000000"):
            error = await refused(ledgers, text, at=at)
            assert (error["code"], error["field"], error["revision"]) == ("foreign_revision", "at", at)
        for at in (format_moment(clock.now_us + SECOND), "2026-01-01T00:00:00", "yesterday", "", "main@1"):
            error = await refused(ledgers, text, at=at)
            assert (error["code"], error["field"]) == ("malformed", "at"), at
        assert (await refused(ledgers, text, at="yesterday"))["message"] == (
            "at: 'yesterday' is no revision (like main@1042.9f3c1a2b), no tag (like tag:approved) and "
            "no moment with its zone (like 2026-01-31T09:30:00Z)"
        )
        if field.startswith("freshness"):
            told_of = 'query ($at: String) { freshness(refs: ["a"], at: $at) { withheld { ref state reason } } }'
            data = await ask(ledgers, told_of, at="main@2.00000000")
            assert data["freshness"]["withheld"] == [{"ref": "a", "state": "unknown", "reason": "behind"}]
        else:
            error = await refused(ledgers, text, at="main@2.00000000")
            assert (error["code"], error["retry"]) == ("behind", True)
