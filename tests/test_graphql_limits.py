"""What one operation may ask for: each limit is said with its value, and nothing under the limits goes wrong inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import get_introspection_query, parse
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ledger.api.schema import Limits
from ledger.api.schema.measuring import Shape, Survey
from ledger.app import open_ledgers
from ledger.service.ledgers import Ledgers
from tests.graphql_client import SCHEMA, ask, refused, told


@pytest.fixture
async def ledgers() -> AsyncIterator[Ledgers]:
    async with open_ledgers("memory:") as opened:
        service = await opened.get("main", create=True)
        for number in range(12):
            because = [[f"a/{number - 1}"]] if number else []
            await service.apply(
                {"op": "record", "kind": "belief", "key": f"a/{number}", "content": "x" * 1_000, "because": because}
            )
        yield opened


OVER: dict[str, tuple[int, str, int]] = {
    "query_bytes": (20, "{ ledger { head } } #####", 25),
    "depth": (3, '{ entry(ref: "a/1") { ... on RecordEntry { because { because { ref } } } } }', 4),
    "aliases": (1, "{ a: ledgers b: ledgers }", 2),
    "cost": (100, "{ entries(first: 50) { nodes { id ref } } }", 102),
    "page": (5, "{ entries(first: 6) { nodes { id } } }", 6),
    "refs": (2, '{ freshness(refs: ["a", "b", "c"]) { fresh } }', 3),
    "nodes": (9, '{ causes(ref: "a/1", limit: 10) { hidden } }', 10),
    "entries": (10, "{ entries(first: 12) { nodes { id } } }", 12),
    "contents_bytes": (5_000, "{ entries { nodes { ... on RecordEntry { content } } } }", 12_024),
}
"""A limit, an operation that is over it, and what is told of that."""


@pytest.mark.parametrize("limit", OVER)
async def test_a_limit_says_itself_and_what_was_asked(ledgers: Ledgers, limit: str) -> None:
    most, text, value = OVER[limit]
    limits = Limits(**{f"{limit}_max": most})  # type: ignore[arg-type]
    error = await refused(ledgers, text, limits=limits)
    assert (error["code"], error["retry"]) == ("too_large", False)
    assert (error["limit"], error["most"], error["value"]) == (limit, most, value)
    assert f"is {value:,}, the limit is {most:,}" in error["message"]
    await ask(ledgers, text)  # with the limits there are, it passes


async def test_tokens_and_nesting_are_limited_before_anything_is_built(ledgers: Ledgers) -> None:
    error = await refused(ledgers, "{ ledgers ledgers ledgers }", limits=Limits(tokens_max=4))
    assert (error["code"], error["limit"]) == ("too_large", "tokens")
    assert "4" in error["message"]
    error = await refused(ledgers, "{ a " * 1_500 + "}" * 1_500)
    assert (error["code"], error["limit"]) == ("too_large", "depth")


async def test_introspection_is_counted_and_allowed(ledgers: Ledgers) -> None:
    """Also as the strictest clients ask it."""
    text = get_introspection_query(specified_by_url=True, input_value_deprecation=True, schema_description=True)
    data = await ask(ledgers, text)
    assert any(one["name"] == "CommandInput" for one in data["__schema"]["types"])
    assert (await refused(ledgers, text, limits=Limits(depth_max=10)))["limit"] == "depth"


# --- measuring ------------------------------------------------------------------------------------------------


def shape(text: str, limits: Limits | None = None, **variables: Any) -> Shape:
    return Survey(SCHEMA._schema, parse(text), limits or Limits()).shape(None, variables)


@pytest.mark.parametrize(
    ("text", "variables", "depth", "cost"),
    [
        ("{ ledgers }", {}, 1, 1),
        ("{ ledger { head hash } }", {}, 2, 3),
        ("{ entries { nodes { id } } }", {}, 3, 2 + 50),
        ("{ entries(first: 7) { nodes { id ref } pageInfo { endCursor } } }", {}, 3, 2 + 7 * 2 + 2),
        ("query ($n: Int) { entries(first: $n) { nodes { id } } }", {"n": 9}, 3, 2 + 9),
        ("query ($n: Int = 8) { entries(first: $n) { nodes { id } } }", {}, 3, 2 + 8),
        ("query ($n: Int = 8) { entries(first: $n) { nodes { id } } }", {"n": 3}, 3, 2 + 3),
        ("query ($n: Int) { entries(first: $n) { nodes { id } } }", {"n": None}, 3, 2 + 50),
        ("{ entries(first: 1000000000000) { nodes { id } } }", {}, 3, 2 + 500),  # the resolver names the page
        ("{ entries(first: 7) { nodes { ... on RecordEntry { because { id } } } } }", {}, 4, 2 + 7 * (1 + 4)),
        ('{ freshness(refs: ["a", "b", "c"]) { fresh withheld { ref } } }', {}, 3, 3 + 3),
        ("query ($r: [ID!]!) { freshness(refs: $r) { verdicts { ref state } } }", {"r": ["x"] * 20}, 3, 2 + 40),
        ('{ causes(ref: "a", limit: 5) { nodes { id } edges { type } } }', {}, 3, 3 + 5 + 5),
        ("{ ...F ...F } fragment F on Query { ledger { head } }", {}, 2, 4),
        ("{ ... { ledgers } ... on Query { ledgers } }", {}, 1, 2),
        ("{ nonsense { more } ...Missing }", {}, 2, 2),
    ],
)
def test_what_an_operation_is_taken_to_cost(text: str, variables: dict[str, Any], depth: int, cost: int) -> None:
    found = shape(text, **variables)
    assert (found.depth, found.cost) == (depth, cost)


def test_only_the_operation_asked_for_is_measured() -> None:
    document = parse("query A { ledgers } query B { entries { nodes { id } } }")
    survey = Survey(SCHEMA._schema, document, Limits())
    assert [survey.shape(name, {}).cost for name in ("A", "B", None, "C")] == [1, 52, 1, 0]


def test_fragments_that_grow_by_powers_are_measured_at_once() -> None:
    doubling = [f"fragment F{n} on Query {{ x: ledgers ...F{n + 1} ...F{n + 1} }}" for n in range(60)]
    began = time.perf_counter()
    found = shape("{ ...F0 } " + " ".join(doubling) + " fragment F60 on Query { ledgers }")
    assert time.perf_counter() - began < 1
    assert found.aliases == 2**60 - 1
    assert found.cost > 2**60


async def test_fragments_in_a_circle_are_refused(ledgers: Ledgers) -> None:
    text = "{ ...A } fragment A on Query { ledgers ...B } fragment B on Query { ...A }"
    _, errors = await told(ledgers, text)
    assert {error["extensions"]["code"] for error in errors} == {"malformed"}


# --- nothing goes wrong inside --------------------------------------------------------------------------------

LEAF = st.sampled_from(["__typename", "id", "ref", "kind", "hash", "state", "fresh", "revision", "nonsense", "content"])
ARGUMENT = st.sampled_from(
    [
        *("", '(ref: "a/1")', '(ref: "@0")', "(ref: 5)", "(first: -1)", "(first: 2)", '(after: "?")', "(depth: 0)"),
        *('(refs: ["a/3", "@x"])', "(filter: {kinds: [belief]})", "(filter: null)", '(ledger: "no")', '(ledger: "NO")'),
    ]
)
BRANCH = st.sampled_from(
    [
        *("entry", "entries", "freshness", "why", "causes", "remediation", "ledger", "nodes", "edges", "node", "path"),
        *("verdict", "because", "cause", "successor", "withheld", "remedy", "states"),
        *("... on RecordEntry", "... on MutationEntry"),
    ]
)


def braced(name: str, argument: str, selections: list[str]) -> str:
    return f"{name}{'' if name.startswith('.') else argument} {{ {' '.join(selections)} }}"


SELECTION = st.recursive(
    LEAF,
    lambda inner: st.builds(
        lambda name, argument, selections: (
            f"{name}{'' if name.startswith('.') else argument} {{ {' '.join(selections)} }}"
        ),
        BRANCH,
        ARGUMENT,
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=12,
)


@hypothesis_settings(max_examples=300, deadline=None)
@given(selections=st.lists(SELECTION, min_size=1, max_size=3))
def test_no_query_meets_what_nobody_foresaw(selections: list[str]) -> None:
    async def ask_it() -> None:
        async with open_ledgers("memory:") as opened:
            service = await opened.get("main", create=True)
            await service.apply({"op": "record", "kind": "belief", "key": "a/1", "content": 1})
            await service.apply({"op": "record", "kind": "mutation", "key": "a/3", "content": 1, "because": [["a/1"]]})
            await service.apply({"op": "revoke", "target": "a/1"})
            _, errors = await told(opened, f"{{ {' '.join(selections)} }}")
            assert "internal" not in {error["extensions"]["code"] for error in errors}, errors

    asyncio.run(ask_it())
