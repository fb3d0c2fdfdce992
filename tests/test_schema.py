"""The shape of the GraphQL API: committed text, described throughout, and never broken for those who use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphql import (
    BreakingChange,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    find_breaking_changes,
    is_abstract_type,
    is_introspection_type,
    is_specified_scalar_type,
    parse,
    validate,
)

from ledger.api.schema.words import ErrorCode, Kind, Mode, Outcome, Reason, RecordKind, State
from ledger.errors import LedgerError, Overloaded, Refused, StoreError
from ledger.model.edges import EDGE_TYPES
from ledger.model.entry import KINDS, RECORD_KINDS
from ledger.model.verdict import AMENDED, FRESH, STALE, STALE_REASONS, UNKNOWN, UNKNOWN_REASONS
from ledger.validity.lookup import MODE_FLAGS
from tests.graphql_client import SCHEMA

FOLDER = Path(__file__).resolve().parents[1] / "graphql"
OPERATIONS = sorted((FOLDER / "operations").glob("*.graphql"))


def test_the_schema_is_the_one_committed() -> None:
    """`make schema` writes it."""
    assert (FOLDER / "schema.graphql").read_text(encoding="utf-8") == SCHEMA.as_str() + "\n"


def test_nothing_breaks_those_who_use_what_was_released() -> None:
    """graphql/released.graphql is only written anew (`--release`) with a release that says what it breaks."""
    assert breaks(SCHEMA.as_str()) == []


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("  withdrawnBy: [Entry!]!\n", "  withdrawals: [Entry!]!\n"),
        ("  clock: DateTime!\n", "  clock: DateTime\n"),
        ("    after: String\n", "    after: String!\n"),
        ("  kinds: [Kind!]\n", "  kinds: [RecordKind!]\n"),
    ],
)
def test_a_change_that_breaks_is_seen(line: str, becomes: str) -> None:
    text = SCHEMA.as_str()
    assert line in text
    assert breaks(text.replace(line, becomes)) != []


def test_what_is_added_breaks_nobody() -> None:
    text = SCHEMA.as_str()
    assert breaks(text.replace("type PageInfo {\n", "type PageInfo {\n  total: Int\n")) == []


def breaks(text: str) -> list[BreakingChange]:
    released = build_schema((FOLDER / "released.graphql").read_text(encoding="utf-8"))
    return find_breaking_changes(released, build_schema(text))


def test_everything_is_described() -> None:
    assert [name for name, one in described(SCHEMA._schema) if not (one.description or "").strip()] == []


def test_what_has_one_name_has_one_type() -> None:
    """Else a query could not ask for it of several members of a union without renaming it."""
    schema = SCHEMA._schema
    abstract = [one for one in schema.type_map.values() if is_abstract_type(one)]
    for type_ in abstract:
        found: dict[str, set[str]] = {}
        for member in schema.get_possible_types(type_):
            for name, field in member.fields.items():
                found.setdefault(name, set()).add(str(field.type))
        assert {name: types for name, types in found.items() if len(types) > 1} == {}, type_.name


def described(schema: GraphQLSchema) -> Iterator[tuple[str, Any]]:
    for type_ in schema.type_map.values():
        if is_introspection_type(type_) or is_specified_scalar_type(type_):
            continue
        yield type_.name, type_
        if isinstance(type_, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field
                yield from ((f"{type_.name}.{name}({each})", one) for each, one in field.args.items())
        elif isinstance(type_, GraphQLInputObjectType):
            yield from ((f"{type_.name}.{name}", field) for name, field in type_.fields.items())
        elif isinstance(type_, GraphQLEnumType):
            yield from ((f"{type_.name}.{name}", value) for name, value in type_.values.items())


@pytest.mark.parametrize("file", OPERATIONS, ids=lambda file: file.stem)
def test_an_operation_fits_the_schema(file: Path) -> None:
    assert validate(SCHEMA._schema, parse(file.read_text(encoding="utf-8"))) == []


def test_words_are_those_of_the_model() -> None:
    """One word for one idea: a kind, a reason, a mode is spelt over GraphQL as everywhere."""

    def words(enum: Any) -> list[str]:
        return [one.value for one in enum]

    assert words(Kind) == list(KINDS)
    assert words(RecordKind) == list(RECORD_KINDS)
    assert words(State) == [FRESH, STALE, UNKNOWN]
    assert words(Reason) == [*STALE_REASONS, AMENDED, *UNKNOWN_REASONS]
    assert sorted(words(Mode)) == sorted(MODE_FLAGS)
    assert {"BECAUSE", "REVOKES", "SUPERSEDES"} < set(EDGE_TYPES)


def test_outcomes_are_those_of_the_contract() -> None:
    contract = (FOLDER.parent / "docs" / "contract.md").read_text(encoding="utf-8")
    table = contract.partition("\n## Outcomes\n")[2].partition("\n## ")[0]
    assert [one.value for one in Outcome] == [
        line.split("`")[1] for line in table.splitlines() if line.startswith("| `")
    ]


def test_every_refusal_has_its_code() -> None:
    def codes(kind: type[LedgerError]) -> set[str]:
        return {kind.code}.union(*map(codes, kind.__subclasses__()))

    assert {one.value for one in ErrorCode} == codes(Refused) | codes(StoreError) | codes(Overloaded)
