"""The operations of graphql/operations, each played in one story, on every store."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from pathlib import Path
from typing import Any

import pytest

from ledger.app import open_ledgers
from ledger.model.canonical import digest_of
from ledger.service.ledgers import Ledgers
from tests.graphql_client import SCHEMA, ask

OPERATIONS = Path(__file__).resolve().parents[1] / "graphql" / "operations"


@pytest.mark.parametrize("address", ["memory:", "sqlite:///{}/ledger.db"])
async def test_the_story(address: str, tmp_path: Path) -> None:
    async with open_ledgers(address.format(tmp_path)) as ledgers:
        await story(ledgers)


@pytest.mark.neo4j
async def test_the_story_on_neo4j(neo4j_uri: str) -> None:
    async with open_ledgers(neo4j_uri) as ledgers:
        await story(ledgers)


async def story(ledgers: Ledgers) -> None:
    played: set[str] = set()
    ledger = f"story-{uuid.uuid4().hex[:8]}"

    async def play(name: str, /, **variables: Any) -> Any:
        played.add(name)
        text = (OPERATIONS / f"{name}.graphql").read_text(encoding="utf-8")
        named = {"name": ledger} if name == "ledger" else {"ledger": ledger}
        data = await ask(ledgers, text, **named, **variables)
        return next(iter(data.values())) if len(data) == 1 else data

    policy = {"limit": 500}
    result = await play(
        "record", input={"kind": "dependency", "key": "policy/refund", "content": policy, "actor": "legal"}
    )
    assert (result["outcome"], result["entryId"], result["ref"]) == ("recorded", "@1", "policy/refund@1")
    batch = [
        {"record": {"kind": "belief", "key": "within", "content": True, "because": [["policy/refund"]]}},
        {"record": {"kind": "approval", "key": "refund", "content": 420, "because": [["within"]], "actor": "ann"}},
        {"record": {"kind": "mutation", "key": "payout", "content": 420, "because": [["refund"]], "actor": "pay"}},
    ]
    result = await play("apply", commands=batch, idempotencyKey="run-1")
    assert [one["ref"] for one in result["results"]] == ["within@1", "refund@1", "payout@1"]
    assert (await play("apply", commands=batch, idempotencyKey="run-1"))["replayed"] is True

    looks = [{"target": "policy/refund", "digest": digest_of(policy)}]
    assert (await play("verify", targets=looks))["outcome"] == "verified"
    report = await play("freshness", refs=["payout", "policy/refund", "nowhere"])
    assert report["fresh"] == ["payout", "policy/refund"]
    assert report["withheld"] == [
        {"ref": "nowhere", "state": "unknown", "reason": "not_found", "causeId": None, "successorRef": None}
    ]

    plan = [{"revoke": {"target": "policy/refund", "mode": "wrong_from_birth"}}]
    told = await play("impact", commands=plan, limit=2)
    assert (told["fell"]["count"], told["fell"]["first"]) == (4, ["policy/refund@1", "within@1"])
    assert told["fell"]["kinds"][0] == {"kind": "approval", "count": 1}
    assert told["remediation"] == {"count": 1, "first": ["payout@1"]}
    assert [one["reason"] for one in told["results"]] == ["wrong_from_birth"]

    result = await play("revoke", target="policy/refund", mode="wrong_from_birth", reason="a draft", actor="legal")
    assert result["fell"] == {"count": 4, "first": ["policy/refund@1", "within@1", "refund@1", "payout@1"]}
    report = await play("freshness", refs=["payout"], atLeast=result["revision"])
    assert report["withheld"][0]["causeId"] == result["entryId"] == "@6"

    why = await play("why", ref="payout")
    assert [(step["entry"]["id"], step["reason"]) for step in why["path"]] == [
        ("@6", None),
        ("@1", "wrong_from_birth"),
        ("@2", "unsupported"),
        ("@3", "unsupported"),
        ("@4", "unsupported"),
    ]
    assert why["path"][0]["entry"]["why"] == "a draft"
    entry = await play("entry", ref="refund")
    assert entry["because"] == [
        [
            {
                "ref": "within@1",
                "verdict": {"state": "stale"},
                "because": [[{"ref": "policy/refund@1", "verdict": {"state": "stale"}}]],
            }
        ]
    ]
    assert entry["verdict"]["cause"] == {"id": "@6", "kind": "revocation", "actor": "legal"}
    (mutation,) = (await play("remediation"))["nodes"]
    assert mutation["remedy"] == {"needed": True, "causes": [{"id": "@6", "kind": "revocation", "actor": "legal"}]}

    around = await play("neighbourhood", ref="within")
    assert [node["ref"] for node in around["causes"]["nodes"]] == ["within@1", "policy/refund@1", "@6"]
    assert [node["ref"] for node in around["consequences"]["nodes"]] == ["within@1", "refund@1", "payout@1"]
    history = await play("history", ref="policy/refund@1")
    assert [node["kind"] for node in history["entries"]["nodes"]] == ["dependency", "verification", "revocation"]
    (edition,) = history["history"]["editions"]["last"]
    assert [(one["state"], one["since"]["entryId"]) for one in edition["states"]["last"]] == [
        ("fresh", "@1"),
        ("stale", "@6"),
    ]
    page = await play("entries", filter={"state": "stale", "kinds": ["mutation", "approval"]}, first=1)
    assert [node["id"] for node in page["nodes"]] == ["@3"]
    page = await play("entries", filter={"state": "stale"}, first=5, after=page["pageInfo"]["endCursor"])
    assert ([node["id"] for node in page["nodes"]], page["pageInfo"]["hasNextPage"]) == (["@4"], False)

    result = await play("reinstate", target="policy/refund", reason="it was signed")
    assert result["revived"]["count"] == 4
    tagged = await play("tag", name="signed")
    assert tagged["created"] is True
    assert await play("tags") == [{"name": "signed", "revision": tagged["revision"]}]
    assert (await play("entry", ref="refund", at="tag:signed"))["verdict"]["state"] == "fresh"
    state = await play("ledger")
    assert ledger in state["ledgers"]
    assert state["ledger"]["states"] == [{"state": "fresh", "reason": None, "count": 4}]
    assert state["ledger"]["head"] == 7
    assert state["ledger"]["revision"].endswith(state["ledger"]["hash"][:8])
    assert (state["ledger"]["lagS"] > 0) == (ledgers.store.poll_s is not None)
    withdrawn = f"{ledger}@6.{(await (await ledgers.get(ledger)).entries(after=5, limit=1))[0].hash[:8]}"
    diff = await play("diff", **{"from": withdrawn})
    assert [one["entryId"] for one in diff["reinstated"]["first"]] == ["@7"]
    assert (diff["revived"]["count"], diff["fallen"]["count"], diff["recorded"]["count"]) == (4, 0, 0)
    assert diff["revived"]["first"][3]["verdict"]["ref"] == "payout@1"
    assert diff["revived"]["first"][3]["event"]["entryId"] == "@7"
    compared = await play("compare", other=ledger, otherAt=withdrawn)
    assert (compared["same"], compared["verdict"]["count"], compared["content"]["count"]) == (0, 4, 0)
    assert compared["verdict"]["first"][0]["there"]["reason"] == "unsupported"
    await changes(ledgers, ledger)
    asked = {"filter": {"actor": "ann"}, "mode": "quarantined"}
    plan = await play("planWithdrawal", input=asked, limit=5)
    assert (plan["count"], plan["first"][0]["ref"], plan["impact"]["fell"]["count"]) == (1, "refund@1", 2)
    done = await play("withdraw", input=asked, plan=plan["digest"])
    assert (done["count"], done["fell"]["first"]) == (1, ["refund@1", "payout@1"])
    assert (await play("withdraw", input=asked, plan=plan["digest"]))["code"] == "impact_changed"
    assert played | {"changes"} == {file.stem for file in OPERATIONS.iterdir()}


async def changes(ledgers: Ledgers, ledger: str) -> None:
    """The story again, as whoever watches is told it."""
    text = (OPERATIONS / "changes.graphql").read_text(encoding="utf-8")
    first = (await (await ledgers.get(ledger)).entries(limit=1))[0]
    after = f"{ledger}@1.{first.hash[:8]}"
    told = await SCHEMA.subscribe(text, variable_values={"ledger": ledger, "after": after}, context_value=ledgers)
    seen = []
    async with asyncio.timeout(10), contextlib.aclosing(told):
        async for result in told:
            assert not result.errors
            assert result.data is not None
            seen.append(result.data["changes"])
            if len(seen) == 4:
                break
    batch, verified, withdrawn, lifted = seen
    assert [one["ref"] for one in batch["recorded"]["first"]] == ["within@1", "refund@1", "payout@1"]
    assert verified["recorded"]["count"] == 0
    (revocation,) = withdrawn["withdrawn"]["first"]
    assert revocation["ref"] == "policy/refund@1"
    assert revocation["entry"] == {"actor": "legal", "mode": "wrong_from_birth", "reason": "a draft"}
    assert withdrawn["fell"]["count"] == lifted["revived"]["count"] == 4
    assert withdrawn["fell"]["first"][3] == {"ref": "payout@1", "causeId": "@6"}
