"""Withdrawing many editions at once: random filters, sizes no request could hold, and every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from ledger import Ledger
from ledger.errors import ImpactChanged, Malformed, Refused
from ledger.model.withdrawal import WithdrawalPlan
from tests.clients import KINDS, client_of
from tests.serving import Service, hosted
from tests.terminal import Terminal, commands

# --- sizes ----------------------------------------------------------------------------------------------------


def _poisoned(ledger: Any, number: int) -> None:
    """So many conclusions of one agent, and something that rests on the last."""
    lines = [
        {"op": "record", "kind": "belief", "key": f"x/{n}", "content": n, "actor": "agent-x"} for n in range(number)
    ]
    for start in range(0, number, 5000):
        ledger.apply(lines[start : start + 5000])
    ledger.record("decision", "ship", key="ship", because=[[f"x/{number - 1}"]], actor="ann")


def test_no_limit_of_commands_holds_for_it() -> None:
    """10,500 in one batch, from the library and over HTTP, where a request takes 10,000 commands."""
    with hosted() as service, client_of("sync", service.address) as client:
        _poisoned(client, 10_500)
        plan = client.plan_withdrawal(actor="agent-x", mode="quarantined", limit=3)
        assert (plan.count, len(plan.targets), len(plan.first)) == (10_500, 10_500, 3)
        assert plan.impact.fell.kinds == {"belief": 10_500, "decision": 1}
        with pytest.raises(Refused) as refused:
            client.apply(plan.commands)
        assert refused.value.code == "too_large"
        done = client.withdraw(plan)
        assert (done.count, done.fell.count) == (10_500, 10_501)
        assert client.check(["ship", "x/0"]).fresh == []
        change = next(iter(client.changes(after=plan.impact.revision)))
        assert (change.revision, change.withdrawn.count) == (done.revision, 10_500)  # one batch


# --- doors ----------------------------------------------------------------------------------------------------

PAGE: list[dict[str, Any]] = [
    {"op": "record", "kind": "dependency", "key": "web/a", "content": 1, "actor": "agent-x"},
    {"op": "record", "kind": "belief", "key": "one", "content": 1, "because": [["web/a"]], "actor": "agent-x"},
    {"op": "record", "kind": "mutation", "key": "pay", "content": 1, "because": [["one"]], "actor": "ann"},
    {"op": "record", "kind": "belief", "key": "two", "content": 1, "actor": "ann"},
]


@pytest.fixture(params=["file", "service"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """On a file, and on a service that keeps that file."""
    terminal = Terminal(tmp_path)
    with Ledger.open(terminal.store) as ledger:
        ledger.apply(PAGE)
    if request.param == "file":
        yield terminal
        return
    with hosted(terminal.store) as service:
        terminal.store = service.address
        yield terminal


X = ("withdraw", "--actor", "agent-x", "--mode", "quarantined")


def test_the_command_line_shows_a_plan_and_changes_nothing(terminal: Terminal) -> None:
    *lines, last = terminal.ok(*X).splitlines()
    assert lines[0] == "would withdraw 2 as quarantined: 1 belief, 1 dependency"
    assert [line.split()[0] for line in lines[1:3]] == ["@1", "@2"]
    assert lines[3:] == [
        "would fall 3: 1 belief, 1 dependency, 1 mutation",
        "  web/a@1",
        "  one@1",
        "  pay@1",
        "would need repair 1",
        "  pay@1",
    ]
    told = terminal.json(*X)
    assert last.split()[1:] == ["nothing", "was", "changed;", "do", "it:", "--plan", told["impact"]["digest"]]
    assert told["targets"] == ["@1", "@2"]
    assert terminal.head[0] == 4
    short = terminal.ok(*X, "--limit", "1").splitlines()
    assert (short[2], short[5]) == ("  and 1 more", "  and 2 more")
    assert terminal.ok(*X, "--limit", "0").splitlines()[:-1] == [
        "would withdraw 2 as quarantined: 1 belief, 1 dependency",
        "would fall 3: 1 belief, 1 dependency, 1 mutation",
        "would need repair 1",
    ]


def test_the_command_line_does_what_was_shown(terminal: Terminal) -> None:
    digest = terminal.json(*X)["impact"]["digest"]
    out = terminal.ok(*X, "--reason", "was injected", "--plan", digest, LEDGER_ACTOR="ops")
    assert out.splitlines()[-2] == "withdrawn 2, fell 3"
    entries = terminal.json("entries", "--kind", "revocation")["entries"]
    assert [(one["mode"], one["reason"], one["actor"]) for one in entries] == [
        ("quarantined", "was injected", "ops")
    ] * 2
    assert terminal.ok(*X).splitlines()[0] == "nothing to withdraw"
    assert terminal.ok(*X, "--yes").splitlines()[-2] == "withdrawn 0, fell 0"


def test_the_same_command_again_under_a_key_answers_as_the_first_time(terminal: Terminal) -> None:
    digest = terminal.json(*X)["impact"]["digest"]
    once = (*X, "--plan", digest, "--idempotency-key", "once")
    first = terminal.json(*once)
    assert terminal.json(*once) == first | {"replayed": True}
    assert terminal.ok(*once).splitlines()[:-1] == ["withdrawn 2 (answered before), fell 3"]
    assert len(terminal.json("entries", "--kind", "revocation")["entries"]) == 2
    other = terminal.run("withdraw", "--actor", "ann", "--plan", digest, "--idempotency-key", "once", "--json")
    assert json.loads(other.stderr)["code"] == "idempotency_conflict"
    without = terminal.run(*X, "--yes", "--idempotency-key", "once", "--json")
    assert json.loads(without.stderr)["code"] == "usage"


def test_the_command_line_refuses_a_plan_that_is_another_by_now(terminal: Terminal) -> None:
    digest = terminal.json(*X)["impact"]["digest"]
    terminal.ok("record", "--kind", "belief", "--key", "three", "1", "--because", "one")
    result = terminal.run(*X, "--plan", digest, "--json")
    assert (result.exit_code, json.loads(result.stderr)["code"]) == (2, "impact_changed")
    assert json.loads(result.stderr)["impact"] == terminal.json(*X)["impact"]["digest"]
    assert json.loads(result.stderr)["field"] == "plan"
    assert terminal.head[0] == 5
    assert terminal.ok(*X, "--yes").splitlines()[-2] == "withdrawn 2, fell 4"
    assert terminal.json("withdraw", "--resting-on", "one", "--yes")["count"] == 2


NO_PLAN = "'sha256:abc' is no digest: sha256: and 64 lower-case hex digits"


@pytest.mark.parametrize("args", [["--actor", "agent-x"], ["--actor", "agent-x", "--yes"], ["--about", "nowhere"]])
def test_the_command_line_says_what_the_digest_of_a_plan_looks_like(terminal: Terminal, args: list[str]) -> None:
    """Before anything else is looked at: no ledger is opened."""
    for ledger in ("main", "none"):
        result = terminal.run("withdraw", *args, "--plan", "sha256:abc", "--json", "--ledger", ledger)
        told = {"code": "malformed", "message": NO_PLAN, "retry": False, "field": "plan"}
        assert (result.exit_code, json.loads(result.stderr)) == (2, told)


@pytest.mark.parametrize("kind", KINDS)
def test_both_clients_say_what_the_digest_of_a_plan_looks_like(kind: str, service: Service) -> None:
    with client_of(kind, service.address) as client:
        client.apply(PAGE)
        plan = client.plan_withdrawal(actor="agent-x")
        mistyped = msgspec.structs.replace(plan, impact=msgspec.structs.replace(plan.impact, digest="sha256:abc"))
        with pytest.raises(Malformed) as refused:
            client.withdraw(mistyped)
        assert (refused.value.message, refused.value.details["field"]) == (NO_PLAN, "plan")


@pytest.mark.parametrize(
    ("args", "field", "code"),
    [
        ([], "filter", "malformed"),
        (["--key-prefix", ""], "key_prefix", "malformed"),
        (["--actor", "agent-x", "--about", ""], "about", "malformed"),
        (["--current"], "filter", "malformed"),
        (["--state", "fresh", "--current"], "filter", "malformed"),
        (["--about", "nowhere"], "about", "not_found"),
        (["--since", "tuesday"], "recorded_since", "malformed"),
        (["--mode", "gone", "--actor", "x"], None, "usage"),
        (["--actor", "x", "--reason", "\x00"], "reason", "malformed"),
    ],
)
def test_what_the_command_line_refuses(terminal: Terminal, args: list[str], field: str | None, code: str) -> None:
    for more in ([], ["--yes"]):
        result = terminal.run("withdraw", "--json", *args, *more)
        assert result.exit_code == 2
        told = json.loads(result.stderr)
        assert (told["code"], told.get("field")) == (code, field)
    assert terminal.head[0] == 4


def test_filters_by_time_and_by_verdict(terminal: Terminal) -> None:
    assert terminal.json("withdraw", "--since", "2100-01-01T00:00:00Z").get("targets") is None
    assert terminal.json("withdraw", "--until", "2100-01-01T00:00:00Z")["targets"] == ["@1", "@2", "@3", "@4"]
    terminal.ok("revoke", "web/a")
    assert terminal.json("withdraw", "--state-reason", "unsupported")["targets"] == ["@2", "@3"]


@pytest.mark.parametrize("kind", KINDS)
def test_both_clients(kind: str, service: Service) -> None:
    with client_of(kind, service.address) as client:
        client.apply(PAGE)
        plan = client.plan_withdrawal(actor="agent-x", recorded_since="2020-01-01T00:00:00Z", by="ops")
        assert isinstance(plan, WithdrawalPlan)
        client.record("belief", 1, key="more", because=[["one"]])
        with pytest.raises(ImpactChanged):
            client.withdraw(plan)
        done = client.withdraw(client.plan_withdrawal(actor="agent-x", by="ops"))
        assert (done.count, done.fell.count) == (2, 4)
        assert client.revision == done.revision


@pytest.mark.parametrize(
    ("path", "body", "status", "facts"),
    [
        ("withdrawal/plan", {"filter": {}}, 400, {"code": "malformed", "field": "filter"}),
        ("withdrawal/plan", {"filter": {"key_prefix": ""}}, 400, {"code": "malformed", "field": "key_prefix"}),
        ("withdrawal/plan", {"filter": {"kinds": []}}, 400, {"code": "malformed", "field": "kinds"}),
        ("withdrawal", {"filter": {"current": True}, "plan": f"sha256:{'0' * 64}"}, 400, {"field": "filter"}),
        ("withdrawal", {"filter": {"actor": ""}, "plan": f"sha256:{'0' * 64}"}, 400, {"field": "actor"}),
        ("withdrawal/plan", {}, 400, {"code": "malformed"}),
        ("withdrawal/plan", {"filter": {"who": "x"}}, 400, {"code": "malformed", "field": "who"}),
        ("withdrawal/plan", {"filter": {"actor": "x"}, "mode": "gone"}, 400, {"code": "malformed", "field": "mode"}),
        ("withdrawal/plan", {"filter": {"kinds": "belief"}}, 400, {"code": "malformed", "field": "filter.kinds"}),
        ("withdrawal/plan?at=1", {"filter": {"actor": "x"}}, 400, {"code": "malformed", "field": "at"}),
        ("withdrawal", {"filter": {"actor": "x"}}, 400, {"code": "malformed"}),
        (
            "withdrawal",
            {"filter": {"actor": "x"}, "plan": "sha256:abc"},
            400,
            {"code": "malformed", "message": NO_PLAN, "field": "plan"},
        ),
        (
            "withdrawal",
            {"filter": {"actor": "x"}, "plan": f"sha256:{'0' * 64}"},
            409,
            {"code": "impact_changed", "field": "plan"},
        ),
    ],
)
def test_what_http_refuses(
    service: Service, path: str, body: dict[str, Any], status: int, facts: dict[str, Any]
) -> None:
    place = f"{service.address}/v1/ledgers/main"
    assert httpx.post(f"{place}/{path}", json=body).json()["code"] in ("no_such_ledger", "malformed")
    httpx.post(f"{place}/commands", content=commands(PAGE), headers={"content-type": "application/x-ndjson"})
    answer = httpx.post(f"{place}/{path}", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, facts.get("code", "malformed"))
    assert answer.json().items() >= facts.items()


@pytest.mark.parametrize("field", ["keyPrefix", "restingOn", "actor"])
def test_graphql_plans_nothing_by_an_empty_filter(service: Service, field: str) -> None:
    place = f"{service.address}/v1/ledgers/main"
    httpx.post(f"{place}/commands", content=commands(PAGE), headers={"content-type": "application/x-ndjson"})
    query = f'{{ planWithdrawal(input: {{ filter: {{ {field}: "" }} }}) {{ count }} }}'
    (error,) = httpx.post(f"{service.address}/graphql", json={"query": query}).json()["errors"]
    assert error["extensions"].items() >= {"code": "malformed", "field": field}.items()


def test_graphql(service: Service) -> None:
    def ask(query: str, **variables: Any) -> Any:
        answer = httpx.post(f"{service.address}/graphql", json={"query": query, "variables": variables}).json()
        assert "errors" not in answer, answer
        return next(iter(answer["data"].values()))

    place = f"{service.address}/v1/ledgers/main"
    httpx.post(f"{place}/commands", content=commands(PAGE), headers={"content-type": "application/x-ndjson"})
    asked = {"filter": {"actor": "agent-x"}, "mode": "quarantined", "reason": "was injected", "actor": "ops"}
    plan = ask(
        """query ($input: WithdrawalInput!) { planWithdrawal(input: $input, limit: 1) {
          count digest kinds { kind count } first { id actor } impact { fell { count first } remediation { first } }
        } }""",
        input=asked,
    )
    assert (plan["count"], plan["first"]) == (2, [{"id": "@1", "actor": "agent-x"}])
    assert plan["impact"] == {"fell": {"count": 3, "first": ["web/a@1"]}, "remediation": {"first": ["pay@1"]}}
    withdraw = """mutation ($input: WithdrawalInput!, $plan: String!) { withdraw(input: $input, plan: $plan) {
      ... on Withdrawn { count replayed fell { count } } ... on ImpactConflict { code impact field }
      ... on InvalidInput { code message field }
    } }"""
    refused = ask(withdraw, input=asked, plan=f"sha256:{'0' * 64}")
    assert refused == {"code": "impact_changed", "impact": plan["digest"], "field": "plan"}
    refused = ask(withdraw, input=asked, plan="sha256:abc")
    assert refused == {"code": "malformed", "message": NO_PLAN, "field": "plan"}
    assert ask(withdraw, input=asked, plan=plan["digest"]) == {"count": 2, "replayed": False, "fell": {"count": 3}}
