"""Impact through every door: the same answer from the library, over HTTP, by GraphQL and on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger import Ledger
from tests.clients import KINDS, client_of
from tests.serving import JSON, LINES, hosted
from tests.terminal import Terminal, commands

PAGE = [
    {"op": "record", "kind": "dependency", "key": "policy", "content": 500},
    {"op": "record", "kind": "belief", "key": "within", "content": True, "because": [["policy"]]},
    {"op": "record", "kind": "mutation", "key": "payout", "content": 420, "because": [["within"]]},
    {"op": "record", "kind": "belief", "key": "apart", "content": 1},
]
PLAN = [
    {"op": "revoke", "target": "policy", "mode": "wrong_from_birth"},
    {"op": "record", "kind": "belief", "key": "more", "content": 1, "because": [["within"]]},
]


@dataclass
class Place:
    """One file, on the command line and behind a service."""

    terminal: Terminal
    address: str

    def post(self, body: str | bytes, headers: dict[str, str] = LINES, ledger: str = "main", **asked: Any) -> Any:
        return httpx.post(
            f"{self.address}/v1/ledgers/{ledger}/impact", content=body, headers=headers, params=asked, timeout=20
        )


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    terminal = Terminal(tmp_path_factory.mktemp("impact"))
    with Ledger.open(terminal.store) as ledger:
        ledger.apply(PAGE)
    with hosted(terminal.store) as service:
        yield Place(terminal, service.address)


def _without_clock(told: dict[str, Any]) -> dict[str, Any]:
    """As JSON, whichever door it came through."""
    held: dict[str, Any] = json.loads(json.dumps(told))
    del held["clock"]
    return held


def test_every_door_says_the_same(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "plan.jsonl"
    file.write_text("\n" + commands(PLAN))
    with Ledger.open(place.terminal.store) as ledger:
        head, expected = ledger.revision, ledger.impact(PLAN)
    assert expected.fell.kinds == {"belief": 1, "dependency": 1, "mutation": 1}
    assert (expected.remediation.first, expected.results[1].verdict.reason) == (("payout@1",), "unsupported")
    answers = [
        place.post(commands(PLAN)).json(),
        place.post(json.dumps({"op": "batch", "commands": PLAN}), JSON).json(),
        place.terminal.json("impact", "--file", str(file)),
        place.terminal.json("impact", "--file", "-", "--store", place.address, given=commands(PLAN)),
    ]
    for kind in KINDS:
        with client_of(kind, place.address) as client:
            answers.append(client.impact(PLAN).as_dict())
            assert client.revision == head
    for answer in answers:
        assert _without_clock(answer) == _without_clock(expected.as_dict())
    assert place.terminal.head[0] == len(PAGE)


def test_http_says_how_old_it_is_and_names_as_many_as_wanted(place: Place) -> None:
    answer = place.post(commands(PLAN[:1]), limit=1)
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert answer.headers["ledger-revision"] == answer.json()["revision"]
    assert answer.json()["fell"] == {
        "count": 3,
        "kinds": {"belief": 1, "dependency": 1, "mutation": 1},
        "first": ["policy@1"],
    }


@pytest.mark.parametrize(
    ("body", "asked", "status", "facts"),
    [
        (
            [PLAN[0], {"op": "revoke", "target": "nobody"}],
            {},
            404,
            {"code": "not_found", "line": 2, "field": "target"},
        ),
        ([{"op": "revoke"}], {}, 400, {"code": "malformed", "line": 1}),
        ([], {}, 400, {"code": "malformed"}),
        (PLAN, {"limit": "many"}, 400, {"code": "malformed", "field": "limit"}),
        (PLAN, {"limit": -1}, 400, {"field": "limit", "message": "limit is at least 0, not -1"}),
        (PLAN, {"limit": 1001}, 400, {"field": "limit", "message": "limit is at most 1,000, not 1,001"}),
        (PLAN, {"at": "main@1.00000000"}, 400, {"code": "malformed", "field": "at"}),
        (PLAN, {"at_least": "main@1.00000000"}, 409, {"code": "foreign_revision"}),
        (PLAN, {"at_least": "main@99.00000000"}, 503, {"code": "behind"}),
        (PLAN, {"ledger": "nobodys"}, 404, {"code": "no_such_ledger"}),
    ],
)
def test_what_http_refuses(
    place: Place, body: list[dict[str, Any]], asked: dict[str, Any], status: int, facts: dict[str, Any]
) -> None:
    answer = place.post(commands(body), **asked)
    assert answer.status_code == status
    assert answer.json().items() >= facts.items()
    assert "command" not in answer.json()


def test_the_limit_of_commands_is_that_of_a_write(place: Place) -> None:
    answer = place.post(commands([PLAN[0]] * 10_001))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_the_command_line_lists_what_would_fall(place: Place) -> None:
    assert place.terminal.lines("impact", "policy", "--mode", "quarantined", "--limit", "2") == [
        "would fall 3: 1 belief, 1 dependency, 1 mutation",
        "  policy@1",
        "  within@1",
        "  and 1 more",
        "would need repair 1",
        "  payout@1",
    ]
    assert place.terminal.lines("impact", "within", "payout")[0] == "would fall 2: 1 belief, 1 mutation"
    result = place.terminal.run("impact", "--file", "-", given=commands([PAGE[3]]))
    assert result.stdout.startswith("nothing would fall or revive\n")
    assert result.stdout.endswith("nothing was changed\n")


@pytest.mark.parametrize(
    ("args", "given", "facts"),
    [
        (["nobody"], None, {"code": "not_found", "command": 0}),
        ([], None, {"code": "usage"}),
        (["policy", "--file", "-"], "", {"code": "usage"}),
        (["--file", "-", "--mode", "revoked"], "", {"code": "usage"}),
        (["--file", "-"], "\n" + commands(PLAN[:1]) + "{}", {"code": "malformed", "line": 3}),
        (["--file", "-"], "\n" + commands(PLAN[:1]) + "{", {"code": "malformed", "line": 3}),
        (["--file", "-"], "", {"code": "malformed"}),
        (["--file", "nowhere.jsonl"], None, {"code": "file_trouble"}),
    ],
)
def test_what_the_command_line_refuses(place: Place, args: list[str], given: str | None, facts: dict[str, Any]) -> None:
    for store in (place.terminal.store, place.address):
        result = place.terminal.run("impact", "--json", "--store", store, *args, given=given)
        assert result.exit_code == 2
        assert json.loads(result.stderr).items() >= facts.items()


def test_graphql_refuses_what_the_commands_would_be_refused(place: Place) -> None:
    query = "query ($c: [CommandInput!]!) { impact(commands: $c) { digest results { outcome entryId } } }"
    sent = {"query": query, "variables": {"c": [{"revoke": {"target": "nobody"}}]}}
    (error,) = httpx.post(f"{place.address}/graphql", json=sent).json()["errors"]
    assert error["extensions"].items() >= {"code": "not_found", "command": 0, "field": "target"}.items()


def test_a_batch_over_graphql_is_bound_too() -> None:
    apply = """mutation ($c: [CommandInput!]!, $e: String) {
      apply(commands: $c, expectsImpact: $e) { __typename ... on ImpactConflict { code impact } }
    }"""
    with hosted() as service:

        def ask(query: str, **variables: Any) -> Any:
            answer = httpx.post(f"{service.address}/graphql", json={"query": query, "variables": variables}).json()
            assert "errors" not in answer, answer
            return next(iter(answer["data"].values()))

        httpx.post(f"{service.address}/v1/ledgers/main/commands", content=commands(PAGE), headers=LINES)
        plan = [{"revoke": {"target": "policy"}}]
        digest = ask("query ($c: [CommandInput!]!) { impact(commands: $c) { digest } }", c=plan)["digest"]
        refused = ask(apply, c=plan, e="sha256:" + "0" * 64)
        assert refused == {"__typename": "ImpactConflict", "code": "impact_changed", "impact": digest}
        assert ask(apply, c=plan, e=digest) == {"__typename": "BatchResult"}
