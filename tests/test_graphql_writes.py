"""Writes over GraphQL: the same commands as everywhere, answered with what came of them or with a typed error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger.api.schema import Limits
from ledger.api.schema.desk import Desk
from ledger.app import open_ledgers
from ledger.errors import Full, LedgerError, Unavailable
from ledger.model.entry import Head
from ledger.service.ledgers import Ledgers
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock
from tests.graphql_client import ask, refused

ERROR = """__typename ... on Error { code message retry field command } ... on UnresolvedReference { reference }
  ... on VersionConflict { current } ... on WithdrawalConflict { standing } ... on IdempotencyConflict { usedBy }"""
CAME = """... on CommandResult { outcome entryId ref revision replayed createdLedger verdict { state reason }
  fell { count first } revived { count first } standsIds stands { id } entry { kind } }"""


@pytest.fixture
async def ledgers() -> AsyncIterator[Ledgers]:
    async with open_ledgers("memory:", clock=ManualClock()) as opened:
        yield opened


async def do(ledgers: Ledgers, op: str, **input: Any) -> Any:
    text = f"mutation ($input: {op.capitalize()}Input!) {{ {op}(input: $input) {{ {CAME} {ERROR} }} }}"
    return (await ask(ledgers, text, input=input))[op]


async def record(ledgers: Ledgers, key: str | None, content: Any = 1, kind: str = "belief", **more: Any) -> Any:
    return await do(ledgers, "record", kind=kind, content=content, **({} if key is None else {"key": key}), **more)


async def apply(ledgers: Ledgers, *commands: dict[str, Any], **more: Any) -> Any:
    text = f"""mutation ($commands: [CommandInput!]!, $actor: String, $occurredAt: DateTime, $idempotencyKey: String) {{
      apply(commands: $commands, actor: $actor, occurredAt: $occurredAt, idempotencyKey: $idempotencyKey) {{
        ... on BatchResult {{ revision replayed results {{ outcome ref entryId createdLedger verdict {{ state }} }} }}
        {ERROR} }} }}"""
    return (await ask(ledgers, text, commands=list(commands), **more))["apply"]


# --- what came of it ------------------------------------------------------------------------------------------


async def test_outcomes(ledgers: Ledgers) -> None:
    first = await record(ledgers, "policy", 1, "dependency")
    assert (first["outcome"], first["entry"], first["createdLedger"]) == ("recorded", {"kind": "dependency"}, True)
    on = await record(ledgers, "b", because=[["policy"]])
    assert (on["ref"], on["createdLedger"]) == ("b@1", False)
    assert (await record(ledgers, "b", because=[["policy"]]))["outcome"] == "repeated"
    assert (await record(ledgers, "b", because=[["@1", "policy"]]))["outcome"] == "repeated"
    assert (await record(ledgers, "policy", 2, "dependency", amends=1))["outcome"] == "amended"
    assert (await record(ledgers, "other"))["outcome"] == "recorded"
    assert (await record(ledgers, "b", because=[["other"]]))["outcome"] == "justified"
    gone = await do(ledgers, "revoke", target="policy", mode="quarantined", reason="look", actor="ann")
    assert (gone["outcome"], gone["fell"]) == ("revoked", {"count": 1, "first": ["policy@2"]})
    withheld = await record(ledgers, "policy", 2, "dependency")
    assert (withheld["outcome"], withheld["standsIds"], withheld["stands"]) == (
        "withheld",
        [gone["entryId"]],
        [{"id": gone["entryId"]}],
    )
    assert withheld["verdict"] == {"state": "stale", "reason": "quarantined"}
    await record(ledgers, "policy", 3, "dependency")
    assert (await record(ledgers, "policy", 1, "dependency"))["outcome"] == "condemned"
    lifted = await do(ledgers, "reinstate", target="policy@1")
    assert lifted["outcome"] == "reinstated"
    seen = await do(ledgers, "verify", target="policy", digest="sha256:" + "0" * 64)
    assert (seen["outcome"], seen["verdict"]["reason"]) == ("diverged", "diverged")


async def test_every_field_of_a_command_arrives(ledgers: Ledgers) -> None:
    await record(ledgers, "old")
    await record(ledgers, "ground")
    await record(
        ledgers,
        "b",
        {"deep": [1, 2.5, None, "é"]},
        "decision",
        because=[["ground"], ["old", "ground"]],
        cites=["old"],
        supersedes=["old"],
        expects=0,
        requireFresh=True,
        validUntil="2027-01-01T00:00:00Z",
        actor="ann",
        occurredAt="2025-12-31T12:00:00+01:00",
        idempotencyKey="k",
    )
    entry = await (await ledgers.get("main")).entry("b")
    assert entry.content == {"deep": [1, 2.5, None, "é"]}
    assert (entry.because, entry.cites, entry.supersedes) == (
        (("ground@1",), ("old@1", "ground@1")),
        ("old@1",),
        ("old@1",),
    )
    assert (entry.valid_until, entry.actor) == ("2027-01-01T00:00:00.000000Z", "ann")
    assert entry.occurred_at == "2025-12-31T11:00:00.000000Z"
    await record(ledgers, "c", 1, validUntil="2027-01-01T00:00:00Z")
    await record(ledgers, "c", 1, restate=True, validUntil=None)
    assert (await (await ledgers.get("main")).entry("c@2")).valid_until is None
    await do(ledgers, "revoke", target="c", effectiveAt="2025-12-31T00:00:00Z", reason="then")
    revocation = await (await ledgers.get("main")).entry("@6")
    assert (revocation.effective_at, revocation.reason) == ("2025-12-31T00:00:00.000000Z", "then")


async def test_a_limit_is_kept_when_absent_and_removed_by_null(ledgers: Ledgers) -> None:
    async def limit() -> str | None:
        report = await (await ledgers.get("main")).check(["a"])
        return report.verdicts[0].reason

    clock: Any = ledgers.clock
    await record(ledgers, "a", 1, validUntil="2026-01-01T00:00:10Z")
    await record(ledgers, "a", 1)
    clock.wait(20)
    assert await limit() == "expired"
    await record(ledgers, "a", 1, validUntil=None)
    assert await limit() is None


async def test_null_content_is_content_and_none_is_refused(ledgers: Ledgers) -> None:
    assert (await record(ledgers, "a", None))["outcome"] == "recorded"
    answer = await ask(ledgers, f"mutation {{ record(input: {{ kind: belief }}) {{ {ERROR} }} }}")
    assert answer["record"]["code"] == "malformed"
    assert "content is missing" in answer["record"]["message"]


async def test_literals_are_commands_too(ledgers: Ledgers) -> None:
    text = """mutation { record(input: { kind: dependency, key: 7, content: { n: -1, s: "x", l: [true, null, 1.5] } }) {
      ... on CommandResult { ref entry { ... on RecordEntry { content digest } } } } }"""
    entry = (await ask(ledgers, text))["record"]
    assert entry["ref"] == "7@1"
    assert entry["entry"]["content"] == {"n": -1, "s": "x", "l": [True, None, 1.5]}


async def test_the_same_command_over_another_way_is_answered(ledgers: Ledgers) -> None:
    """Law 11: the digest is of the command, however it came."""
    command = {"op": "record", "kind": "belief", "key": "a", "content": 1, "because": [], "idempotency_key": "k"}
    await (await ledgers.get("main", create=True)).apply(command)
    again = await record(ledgers, "a", 1, because=[], idempotencyKey="k")
    assert (again["replayed"], again["entryId"], again["createdLedger"]) == (True, "@1", False)


async def test_a_write_sees_what_the_one_before_it_did(ledgers: Ledgers) -> None:
    """Several writes in one operation: what one loaded is not what the next shows."""
    await record(ledgers, "a")
    text = """mutation {
      first: revoke(input: { target: "a" }) { ...R }
      second: reinstate(input: { target: "a" }) { ...R }
    }
    fragment R on CommandResult { entry { ... on EventEntry { targets { ...T } } } }
    fragment T on RecordEntry { verdict { state } }"""
    data = await ask(ledgers, text)
    states = [data[name]["entry"]["targets"][0]["verdict"]["state"] for name in ("first", "second")]
    assert states == ["stale", "fresh"]


# --- batches --------------------------------------------------------------------------------------------------


async def test_a_batch_is_one(ledgers: Ledgers) -> None:
    commands = [
        {"record": {"kind": "belief", "key": "a", "content": 1}},
        {"record": {"kind": "belief", "key": "b", "content": 1, "because": [["a"]]}},
        {"revoke": {"target": "a"}},
        {"reinstate": {"target": "a"}},
        {"verify": {"targets": [{"target": "a", "digest": "sha256:" + "0" * 64}]}},
    ]
    batch = await apply(ledgers, *commands, actor="ann", occurredAt="2025-12-31T00:00:00Z", idempotencyKey="k")
    outcomes = [one["outcome"] for one in batch["results"]]
    assert outcomes == ["recorded", "recorded", "revoked", "reinstated", "diverged"]
    assert [one["createdLedger"] for one in batch["results"]] == [True, False, False, False, False]
    assert batch["results"][1]["verdict"] == {"state": "stale"}  # as of the end
    entry = await (await ledgers.get("main")).entry("a")
    assert (entry.actor, entry.occurred_at) == ("ann", "2025-12-31T00:00:00.000000Z")
    again = await apply(ledgers, *commands, actor="ann", occurredAt="2025-12-31T00:00:00Z", idempotencyKey="k")
    assert (again["replayed"], again["revision"]) == (True, batch["revision"])


async def test_a_batch_is_all_or_nothing(ledgers: Ledgers) -> None:
    refusal = await apply(
        ledgers,
        {"record": {"kind": "belief", "key": "a", "content": 1}},
        {"record": {"kind": "belief", "key": "b", "content": 1, "because": [["nowhere"]]}},
    )
    assert (refusal["__typename"], refusal["code"]) == ("UnresolvedReference", "not_found")
    assert (refusal["command"], refusal["field"], refusal["reference"]) == (1, "because", "nowhere")
    assert await ledgers.names() == []


@pytest.mark.parametrize(
    "command", [{}, {"record": None}, {"revoke": {"target": "a"}, "reinstate": {"target": "a"}}, {"export": {}}]
)
async def test_a_command_is_exactly_one(ledgers: Ledgers, command: dict[str, Any]) -> None:
    text = "mutation ($c: [CommandInput!]!) { apply(commands: $c) { __typename } }"
    assert (await refused(ledgers, text, c=[command]))["code"] == "malformed"


async def test_an_empty_batch_is_refused(ledgers: Ledgers) -> None:
    assert (await apply(ledgers))["code"] == "malformed"


# --- errors ---------------------------------------------------------------------------------------------------


async def test_each_refusal_is_a_type_with_what_it_carries(ledgers: Ledgers) -> None:
    await record(ledgers, "a")
    await record(ledgers, "b", because=[["a"]])
    await do(ledgers, "revoke", target="a", idempotencyKey="k")
    await do(ledgers, "revoke", target="a", mode="quarantined")
    came = {
        "malformed": await record(ledgers, None, kind="dependency"),
        "too_large": await record(ledgers, "x", "x" * (1 << 20)),
        "not_found": await record(ledgers, "x", because=[["aa"]]),
        "ambiguous": await do(ledgers, "revoke", target="a@sha256:0"),
        "not_a_premise": await record(ledgers, "x", because=[["@3"]]),
        "not_current": await record(ledgers, "a", 2, amends=7),
        "several_withdrawals": await do(ledgers, "reinstate", target="a"),
        "nothing_to_lift": await do(ledgers, "reinstate", target="b"),
        "not_standing": await do(ledgers, "reinstate", target="a", lifts=["@2"]),
        "idempotency_conflict": await do(ledgers, "revoke", target="b", idempotencyKey="k"),
        "stale_premise": await record(ledgers, "x", because=[["a"]], requireFresh=True),
        "kind_conflict": await record(ledgers, "a", 1, "approval"),
        "circular_support": await record(ledgers, "a", 1, because=[["b"]]),
    }
    del came["ambiguous"]  # a digest that short is no reference
    del came["circular_support"]  # nothing is added to a ground
    assert {code: error["code"] for code, error in came.items()} == {code: code for code in came}
    assert {code: error["__typename"] for code, error in came.items()} == {
        "malformed": "InvalidInput",
        "too_large": "InvalidInput",
        "not_found": "UnresolvedReference",
        "not_a_premise": "UnresolvedReference",
        "not_current": "VersionConflict",
        "several_withdrawals": "WithdrawalConflict",
        "nothing_to_lift": "WithdrawalConflict",
        "not_standing": "WithdrawalConflict",
        "idempotency_conflict": "IdempotencyConflict",
        "stale_premise": "LawBroken",
        "kind_conflict": "LawBroken",
    }
    assert came["not_found"]["reference"] == "aa"
    assert came["not_current"]["current"] == 1
    assert came["several_withdrawals"]["standing"] == ["@3", "@4"]
    assert came["idempotency_conflict"]["usedBy"] == "@3"
    assert came["idempotency_conflict"]["field"] == "idempotencyKey"
    assert not any(error["retry"] for error in came.values())
    assert all(error["message"] for error in came.values())


class Broken(MemoryStore):
    """A store that has another trouble each time."""

    trouble: Exception

    async def append(self, ledger: str, expects: Head, *args: Any, **kwargs: Any) -> None:
        raise self.trouble


@pytest.mark.parametrize(
    ("trouble", "retry"),
    [(Full("no space on /var/lib/secret.db"), False), (Unavailable("bolt://secret:7687 refused"), True)],
)
async def test_trouble_of_the_store_is_typed_too(
    trouble: LedgerError, retry: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.service.committer.UNAVAILABLE_AFTER_S", 0.1)
    store = Broken()
    store.trouble = trouble
    async with open_ledgers(store) as ledgers:
        error = await record(ledgers, "a")
        assert (error["__typename"], error["code"], error["retry"]) == ("StoreFailure", trouble.code, retry)
        assert error["message"]
        assert "secret" not in error["message"]


async def test_what_nobody_foresaw_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    store = Broken()
    store.trouble = RuntimeError("password=hunter2 at bolt://db:7687")
    async with open_ledgers(store) as ledgers:
        text = "mutation { record(input: { kind: belief, content: 1 }) { __typename } }"
        error = await refused(ledgers, text)
        assert error == {"message": error["message"], "code": "internal", "retry": False}
        assert "hunter2" not in str(error)
        assert "hunter2" in caplog.text


@pytest.mark.parametrize(
    ("broken", "asked"), [((Ledgers, "names"), "{ ledgers }"), ((Desk, "named"), '{ entry(ref: "a") { id } }')]
)
async def test_an_answer_that_is_not_of_its_type_is_our_fault(
    broken: tuple[type, str],
    asked: str,
    ledgers: Ledgers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def answers(*_: Any) -> list[Any]:
        return [{"secret": 1}]

    await record(ledgers, "a")
    monkeypatch.setattr(*broken, answers)
    error = await refused(ledgers, asked)
    assert error == {"message": error["message"], "code": "internal", "retry": False}
    assert "secret" not in str(error)
    assert "an operation failed" in caplog.text


async def test_nothing_for_what_must_be_given_is_the_callers(ledgers: Ledgers) -> None:
    """Which shows only when the operation is carried out: the variable has a default, and may be null."""
    error = await refused(ledgers, 'query ($name: String = "main") { ledger(name: $name) { head } }', name=None)
    assert error["code"] == "malformed"


async def test_a_ledger_that_cannot_be_is_refused(ledgers: Ledgers) -> None:
    text = f'mutation {{ revoke(ledger: "No!", input: {{ target: "a" }}) {{ {ERROR} }} }}'
    error = (await ask(ledgers, text))["revoke"]
    assert (error["__typename"], error["code"], error["field"]) == ("InvalidInput", "malformed", "ledger")


async def test_too_many_commands(ledgers: Ledgers) -> None:
    text = f"mutation ($c: [CommandInput!]!) {{ apply(commands: $c) {{ {ERROR} }} }}"
    commands = [{"revoke": {"target": "a"}}] * 3
    error = (await ask(ledgers, text, limits=Limits(commands_max=2), c=commands))["apply"]
    assert (error["code"], error["message"]) == ("too_large", "the number of commands is 3, the limit is 2")
