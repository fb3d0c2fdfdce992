"""What `entries` is asked for: the same filters by the same names, and the same answers, through every door."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import httpx
import pytest

from ledger import AsyncLedger, Ledger
from ledger.api.application import create_app
from ledger.api.schema.arguments import EntryFilter
from ledger.api.schema.telling import camel_case
from ledger.cli.planning import withdraw
from ledger.cli.reading import entries
from ledger.errors import Ambiguous, LedgerError, Malformed, NotFound, error_told
from ledger.model.entry import KINDS
from ledger.model.listing import Listing, Wanted
from ledger.model.verdict import REASONS, STATES
from ledger.model.withdrawal import Planning
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock
from tests.clients import client_of
from tests.serving import hosted
from tests.terminal import Terminal

FILTERS: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [1, 2, 3, 4, 5, 6]),
    ({"kinds": ["belief", "revocation"]}, [2, 6]),
    ({"state": "stale"}, [1, 2, 5]),
    ({"state": "fresh"}, [3, 4]),
    ({"state": "unknown"}, []),
    ({"reason": "superseded"}, [1]),
    ({"state": "stale", "reason": "unsupported"}, [2]),
    ({"state": "fresh", "reason": "unsupported"}, []),
    ({"key_prefix": "docs/"}, [1, 4, 5, 6]),
    ({"key_prefix": "docs/", "current": True}, [4, 5]),
    ({"current": True}, [2, 4, 5]),
    ({"actor": "ann"}, [3, 4, 6]),
    ({"actor": "ann", "kinds": ["dependency"]}, [4]),
    ({"actor": "nobody"}, []),
    ({"about": "docs/a"}, [1, 4]),
    ({"about": "docs/c", "kinds": ["revocation"]}, [6]),
    ({"about": "@3"}, [3]),
    ({"resting_on": "docs/a@1"}, [2]),
    ({"resting_on": "docs/a"}, []),
    ({"resting_on": "docs/a@1", "kinds": ["dependency"]}, []),
    ({"recorded_since": "2026-01-01T00:01:00Z"}, [3, 4, 5, 6]),
    ({"recorded_before": "2026-01-01T00:01:00Z"}, [1, 2]),
    ({"recorded_since": "2026-01-01T01:01:00+01:00", "recorded_before": "2026-01-01T00:02:00Z"}, [3, 4]),
    ({"recorded_since": "2027-01-01T00:00:00Z"}, []),
    ({"recorded_since": "2026-01-01T00:02:00Z", "recorded_before": "2026-01-01T00:01:00Z"}, []),
]
"""On `HISTORY`: a filter, and the entries that it leaves."""

HISTORY: list[dict[str, Any] | None] = [
    {"op": "record", "kind": "dependency", "key": "docs/a", "content": 1},
    {"op": "record", "kind": "belief", "key": "b", "content": 1, "because": [["docs/a"]]},
    None,  # a minute
    {"op": "record", "kind": "decision", "content": 2, "actor": "ann"},
    {"op": "record", "kind": "dependency", "key": "docs/a", "content": 2, "actor": "ann"},
    None,
    {"op": "record", "kind": "dependency", "key": "docs/c", "content": 1},
    {"op": "revoke", "target": "docs/c", "actor": "ann"},
]

REFUSED: list[tuple[dict[str, Any], type[LedgerError], str | None, list[str]]] = [
    ({"kinds": ["guess"]}, Malformed, "kinds", ["'guess'", *KINDS]),
    ({"state": "stal"}, Malformed, "state", ["'stal'", *STATES]),
    ({"reason": "unsuported"}, Malformed, "reason", ["'unsuported'", *REASONS]),
    ({"recorded_since": "yesterday"}, Malformed, "recorded_since", ["'yesterday'", "RFC 3339", "zone"]),
    ({"recorded_before": "2026-01-01T00:00:00"}, Malformed, "recorded_before", ["RFC 3339", "zone"]),
    ({"recorded_before": "9999-12-31T23:59:59-01:00"}, Malformed, "recorded_before", ["years 1 to 9999"]),
    ({"about": "doc/a"}, NotFound, "about", ["'doc/a'", "'docs/a'"]),
    ({"about": "docs/a@0"}, NotFound, "about", ["docs/a"]),
    ({"resting_on": "doc/a"}, NotFound, "resting_on", ["'doc/a'"]),
]
"""A filter that is none, and what is told of it: error, field, words."""


@dataclass
class Place:
    """A ledger that holds `HISTORY`, in a file and behind a service."""

    terminal: Terminal
    address: str
    clock: ManualClock


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    terminal, clock = Terminal(tmp_path_factory.mktemp("entries")), ManualClock()
    with Ledger.open(terminal.store, clock=clock) as ledger:
        for command in HISTORY:
            if command is None:
                clock.wait(60)
            else:
                ledger.apply([command])
    with hosted(terminal.store, clock=clock) as service:
        yield Place(terminal, service.address, clock)


def _embedded(place: Place, wanted: dict[str, Any]) -> list[int]:
    with Ledger.open(place.terminal.store, clock=place.clock) as ledger:
        return [entry.seq for entry in ledger.entries(**wanted)]


def _embedded_async(place: Place, wanted: dict[str, Any]) -> list[int]:
    async def found() -> list[int]:
        async with AsyncLedger.open(place.terminal.store, clock=place.clock) as ledger:
            return [entry.seq for entry in await ledger.entries(**wanted)]

    return asyncio.run(found())


def _client(place: Place, wanted: dict[str, Any], kind: str = "sync") -> list[int]:
    with client_of(kind, place.address) as client:
        return [entry.seq for entry in client.entries(**wanted)]


def _client_async(place: Place, wanted: dict[str, Any]) -> list[int]:
    return _client(place, wanted, "async")


def _http(place: Place, wanted: dict[str, Any]) -> list[int]:
    answer = httpx.get(f"{place.address}/v1/ledgers/main/entries", params=wanted)
    if answer.is_error:
        raise error_told(answer.json())
    return [entry["seq"] for entry in answer.json()["entries"]]


def _graphql(place: Place, wanted: dict[str, Any]) -> list[int]:
    query = "query ($filter: EntryFilter) { entries(filter: $filter) { nodes { seq } } }"
    asked = {camel_case(name): value for name, value in wanted.items()}
    sent = {"query": query, "variables": {"filter": asked}}
    return [
        node["seq"] for node in httpx.post(f"{place.address}/graphql", json=sent).json()["data"]["entries"]["nodes"]
    ]


def _shell(place: Place, wanted: dict[str, Any], *args: str) -> list[int]:
    for name, value in wanted.items():
        option = "--kind" if name == "kinds" else f"--{name.replace('_', '-')}"
        for one in value if isinstance(value, list) else [value]:
            args += (option,) if one is True else (option, one)
    result = place.terminal.run("entries", "--json", *args)
    if result.exit_code:
        raise error_told(json.loads(result.stderr))
    return [entry["seq"] for entry in json.loads(result.stdout)["entries"]]


def _shell_over_http(place: Place, wanted: dict[str, Any]) -> list[int]:
    return _shell(place, wanted, "--store", place.address)


Door = Callable[[Place, dict[str, Any]], list[int]]
PYTHON: list[Door] = [_embedded, _embedded_async, _client, _client_async]
SHELL: list[Door] = [_shell, _shell_over_http]


@pytest.mark.parametrize("door", [*PYTHON, *SHELL, _http, _graphql])
def test_filters(place: Place, door: Door) -> None:
    for wanted, seqs in FILTERS:
        assert door(place, wanted) == seqs, wanted


@pytest.mark.parametrize("door", PYTHON)
def test_what_only_python_can_ask(place: Place, door: Door) -> None:
    since = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
    assert door(place, {"recorded_since": since}) == [5, 6]
    assert door(place, {"recorded_since": since, "after": 5}) == [6]
    assert door(place, {"kinds": []}) == []
    assert door(place, {"kinds": iter(["belief"])}) == [2]
    with pytest.raises(Malformed, match="'belief' is one text"):
        door(place, {"kinds": "belief"})
    with pytest.raises(Malformed, match="zone") as told:
        door(place, {"recorded_since": since.replace(tzinfo=None)})
    assert told.value.details["field"] == "recorded_since"
    with pytest.raises(TypeError, match="prefix"):
        door(place, {"prefix": "docs/"})


@pytest.mark.parametrize("door", [*PYTHON, *SHELL, _http])
def test_a_filter_that_is_none_is_refused(place: Place, door: Door) -> None:
    for wanted, kind, field, words in REFUSED:
        if door in SHELL and wanted.keys() & {"kinds", "state", "reason"}:
            continue  # words of the command line are its own business: below
        with pytest.raises(kind) as told:
            door(place, wanted)
        assert told.value.details.get("field") == field
        assert [word for word in words if word not in told.value.message] == [], wanted


@pytest.mark.parametrize("option", ["kind", "state", "reason"])
def test_the_command_line_says_which_words_there_are(place: Place, option: str) -> None:
    result = place.terminal.run("entries", f"--{option}", "guess")
    assert result.exit_code == 2
    words = {"kind": KINDS, "state": STATES, "reason": REASONS}[option]
    assert [word for word in words if f"'{word}'" not in result.stderr] == []


def test_what_acts_on_several_entries_is_about_none_of_them(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        for key in "ab":
            ledger.record("dependency", 1, key=key)
        digest = ledger.entry("a").digest
        ledger.apply([{"op": "verify", "targets": [["a", digest], ["b", digest]]}])
        with pytest.raises(Ambiguous):
            ledger.entries(about="@3")


def test_every_door_has_the_same_filters() -> None:
    """A filter that one of them gains, all gain; only paging, and as of when, is each door's own."""
    paging = {"self", "after", "limit", "content", "at", "at_least"}
    names = set(Wanted.__struct_fields__)
    assert names == set(inspect.signature(Listing.entries).parameters) - paging
    described = create_app(Ledgers(MemoryStore()), Settings.read()).openapi()["paths"]["/v1/ledgers/{ledger}/entries"]
    parameters = {one["name"]: one.get("description") for one in described["get"]["parameters"]}
    assert names == parameters.keys() - paging - {"ledger"}
    assert all(parameters[name] for name in names)
    assert names == {field.name for field in dataclasses.fields(EntryFilter)}
    placed = {"store", "ledger", "api_key_file", "as_json"}
    assert names == {one.name for one in entries.params if isinstance(one, click.Option)} - paging - placed
    # Where `reason` is why something is withdrawn, that of a verdict is `state_reason`, and `by` is who withdraws.
    planned = names - {"reason"} | {"state_reason"}
    how = {"mode", "reason", "by"}
    assert planned | how == set(inspect.signature(Planning.plan_withdrawal).parameters) - paging
    options = {one.name for one in withdraw.params if isinstance(one, click.Option)}
    assert planned | how == options - paging - placed - {"yes", "plan", "idempotency_key"}
