"""Whatever operation the schema allows, or nearly allows, is answered as the schema says: no error of ours comes back.

As tests/test_openapi.py for the rest of the service. Operations are made by Schemathesis, one field of `Query` or
`Mutation` at a time, with what it selects, and asked of a service that runs as a process of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLSchema,
    ListValueNode,
    NameNode,
    NullValueNode,
    ObjectFieldNode,
    ObjectValueNode,
    SelectionSetNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_schema,
    execute_sync,
    get_named_type,
    is_leaf_type,
    parse,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.graphql import nodes
from schemathesis.specs.openapi.checks import negative_data_rejection, response_schema_conformance

from ledger.clock import format_moment, parse_moment
from ledger.errors import Internal
from ledger.model.canonical import digest_of
from tests.serving import process

ROOT = Path(__file__).resolve().parents[1]
SDL = ROOT / "graphql" / "schema.graphql"

HISTORY: list[dict[str, Any]] = [
    {"op": "record", "kind": "dependency", "key": "ground", "content": {"limit": 500}, "actor": "ann"},
    {"op": "record", "kind": "belief", "key": "belief", "content": None, "because": [["ground"]], "cites": ["ground"]},
    {"op": "record", "kind": "mutation", "key": "act", "content": [1, "é"], "because": [["belief"]]},
    {"op": "record", "kind": "dependency", "key": "ground", "content": {"limit": 300}},
    {"op": "record", "kind": "decision", "content": "x", "valid_until": "2100-01-01T00:00:00Z"},
    {"op": "record", "kind": "approval", "key": "other", "content": True, "supersedes": ["act"]},
    {"op": "record", "kind": "belief", "key": "belief", "content": None, "because": [["other"]]},
    {"op": "revoke", "target": "ground@1", "mode": "wrong_from_birth", "reason": "never so"},
    {"op": "revoke", "target": "@5"},
    {"op": "reinstate", "target": "@5"},
    {"op": "verify", "target": "ground", "digest": "sha256:" + "0" * 64},
    {"op": "record", "kind": "context", "key": "gone", "content": "secret", "idempotency_key": "mine"},
    {"op": "revoke", "target": "gone", "mode": "erased"},
    {"op": "record", "kind": "context", "key": "gone", "content": "secret"},
]
KNOWN: dict[str, list[Any]] = {
    "*.*.ledger": [*["main"] * 9, "other"],
    "*.ledger.name": ["main", "other"],
    "*.entries.after": ["MQ", "Mw", "x"],  # after @1, after @3, no cursor
    "*.remediation.after": ["MC4x", "MC4z", "x"],
    "*.freshness.atLeast": ["main@0.00000000", "main@3.00000000", "main@99.00000000"],
    "*.*.first": [7, 1, 500, 0],
    "*.*.depth": [1, 5, -1],
    "*.*.limit": [1, 1_000, 0],
    "*.*.maxAgeS": [0, 1_000, -1],
    "*.*.input.actor": ["ann", "bob", ""],
    "*.*.input.idempotencyKey": [f"key-{number}" for number in range(50)],
    "*.*.input.digest": [digest_of({"limit": 300}), digest_of([1, "é"]), "sha256:0"],
    "*.*.input.expects": [0, 1, 2],
    "*.*.input.lifts[*]": ["@9", "@8", "mine"],
}
"""What text at random would never hit, by argument."""

REFS = ["ground", "ground@1", "belief", "act", "other", "gone", "nowhere", *(f"@{seq}" for seq in range(1, 16)), "@"]
MOMENTS = ["2020-01-01T00:00:00Z", "2020-01-02T01:00:00.123456+01:00", "2100-01-01T00:00:00Z", "2020-01-01"]


def _config(mode: str) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "generation": {"mode": mode},
            "dictionaries": {argument: {"values": values} for argument, values in KNOWN.items()},
            "parameters": {argument: {"dictionary": argument, "probability": 0.9} for argument in KNOWN},
        }
    )


def _object(held: dict[str, Any]) -> ObjectValueNode:
    return ObjectValueNode(
        fields=tuple(ObjectFieldNode(name=NameNode(value=name), value=value) for name, value in held.items())
    )


PLAIN: st.SearchStrategy[Any] = st.text().map(nodes.String) | st.integers().map(nodes.Int) | st.just(nodes.Null)
PLAIN |= st.floats(allow_nan=False, allow_infinity=False).map(nodes.Float)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "_"]), PLAIN).map(_object)
LISTS = st.lists(PLAIN | OBJECTS).map(lambda held: ListValueNode(values=tuple(held)))
schemathesis.graphql.scalar("ID", (st.sampled_from(REFS) | st.sampled_from(REFS) | st.text()).map(nodes.String))
schemathesis.graphql.scalar(
    "DateTime", (st.sampled_from(MOMENTS) | st.datetimes().map(lambda found: f"{found.isoformat()}Z")).map(nodes.String)
)
schemathesis.graphql.scalar("JSON", PLAIN | LISTS | OBJECTS)
VALID = schemathesis.graphql.from_path(SDL, config=_config("positive"))
INVALID = schemathesis.graphql.from_path(SDL, config=_config("negative"))


def _answering_schema() -> GraphQLSchema:
    """The schema, to hold answers against: moments are told in one form only."""
    schema = build_schema(SDL.read_text(encoding="utf-8"))
    schema.type_map["DateTime"].coerce_output_value = lambda text: format_moment(parse_moment(text))  # type: ignore[attr-defined]
    return schema


ANSWERING = _answering_schema()
DOCUMENTED = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"), re.MULTILINE))
ROOTS = (ANSWERING.query_type, ANSWERING.mutation_type)
INSIDE = re.compile(r"Traceback|\.py\b|sqlite3?\.|neo4j\.|strawberry|graphql-core|asyncio| object at 0x|Error\(")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with process(tmp_path_factory.mktemp("graphql")) as started:
        url = started.ready()
        for command in HISTORY:
            answer = httpx.post(f"{url}/v1/ledgers/main/commands", json=command)
            assert answer.status_code == 200, answer.text
        yield f"{url}/graphql"
        log = [json.loads(line) for line in started.errors.read_bytes().splitlines()]
        assert not [line for line in log if line["level"] == "error"]


@pytest.fixture(scope="module")
def carried_out() -> Iterator[Counter[str]]:
    """How many queries and mutations did what they say: a test that is only ever refused tests nothing."""
    tally: Counter[str] = Counter()
    yield tally
    assert all(tally.values()), tally


@VALID.parametrize()
@settings(max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_asked_is_answered_as_the_schema_says(
    case: schemathesis.Case[Any], url: str, carried_out: Counter[str]
) -> None:
    types = TypeInfo(ANSWERING)
    case.body = print_ast(visit(parse(str(case.body)), TypeInfoVisitor(types, _Asked(types))))
    told = answer_to(case, url)
    if "data" in told:
        assert_as_asked(case.body, told)
    carried_out[case.operation.label.partition(".")[0]] += _is_carried_out(told)


@INVALID.parametrize()
@settings(max_examples=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_the_schema_does_not_allow_is_refused(case: schemathesis.Case[Any], url: str) -> None:
    assert answer_to(case, url)["errors"]


def answer_to(case: schemathesis.Case[Any], url: str) -> dict[str, Any]:
    """What is answered: JSON in any case, whose errors tell nothing of what happened inside."""
    answer = case.call(base_url=url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, ["application/json"])
    case.validate_response(answer, checks=[response_schema_conformance, negative_data_rejection])
    told: dict[str, Any] = answer.json()
    for error in told.get("errors", []):
        assert_told_outside(error)
    return told


class _Asked(Visitor):
    """Asks for more than Schemathesis, which is sparing: the leaves of every type; near the root, of what it leads to
    as well. And for the name of the type, which says what an answer must hold.
    """

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self.types = types

    def leave_selection_set(self, node: SelectionSetNode, *where: Any) -> SelectionSetNode:
        parent = self.types.get_parent_type()
        deep = sum(isinstance(one, SelectionSetNode) for one in where[-1])
        more = () if parent in ROOTS else _selected(parent, further=deep <= 2)
        return SelectionSetNode(selections=(*node.selections, *more, TYPE_NAME))

    def enter_argument(self, node: ArgumentNode, *_: Any) -> ArgumentNode:
        """Schemathesis does not know `@oneOf`."""
        if node.name.value != "commands" or not isinstance(node.value, ListValueNode):
            return node
        given = (_one_of(value.fields) for value in node.value.values if isinstance(value, ObjectValueNode))
        values = tuple(ObjectValueNode(fields=fields) for fields in given if fields)
        return ArgumentNode(name=node.name, value=ListValueNode(values=values))


def _selected(type_: Any, *, further: bool) -> Iterator[FieldNode]:
    for name, field in getattr(type_, "fields", {}).items():  # a union has none
        target = get_named_type(field.type)
        if is_leaf_type(target):
            yield FieldNode(name=NameNode(value=name))
        elif further and (inner := tuple(_selected(target, further=False))):
            yield FieldNode(name=NameNode(value=name), selection_set=SelectionSetNode(selections=(*inner, TYPE_NAME)))


TYPE_NAME = FieldNode(name=NameNode(value="__typename"))


def _one_of(fields: tuple[ObjectFieldNode, ...]) -> tuple[ObjectFieldNode, ...]:
    return tuple(field for field in fields if not isinstance(field.value, NullValueNode))[:1]


def assert_told_outside(error: dict[str, Any]) -> None:
    """A code that is documented, and nothing of what happened inside."""
    code = error["extensions"]["code"]
    assert code in DOCUMENTED
    assert code != Internal.code, error
    assert not INSIDE.search(json.dumps(error, ensure_ascii=False)), error


def assert_as_asked(query: str, told: dict[str, Any]) -> None:
    """The answer is what graphql-core answers when it takes each value from this answer: so each is there, in the
    type that the schema gives it, and none is null that may not be; and there is nothing besides."""
    data, failed = told["data"], {error["path"][0] for error in told.get("errors", []) if "path" in error}
    if data is None:
        assert failed  # a field of the root that may not be null
        return
    again = execute_sync(
        ANSWERING,
        parse(query),
        root_value=data,
        field_resolver=lambda source, info, **_: source[info.path.key],
        type_resolver=lambda value, *_: value["__typename"],
    )
    assert (again.data, again.errors) == (data, None)
    assert {name for name, value in data.items() if value is None} <= failed


def _is_carried_out(told: dict[str, Any]) -> bool:
    """Whether there is an answer that is no error, in `errors` or in a union."""
    return any(
        value is not None and not (isinstance(value, dict) and value["__typename"] in FAILURES)
        for name, value in (told.get("data") or {}).items()
        if name != "__typename"
    )


FAILURES = {kind.name for kind in ANSWERING.get_possible_types(ANSWERING.type_map["Error"])}  # type: ignore[arg-type]
