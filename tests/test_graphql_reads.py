"""Reads over GraphQL: filters, pages, the graph behind an entry, and how often the store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ledger.api.schema.limits import Limits
from ledger.api.schema.telling import camel_case
from ledger.app import open_ledgers
from ledger.clock import SECOND, format_moment
from ledger.errors import Unavailable
from ledger.model.canonical import digest_of
from ledger.model.entry import Head, Sealed
from ledger.service.finding import PICK_ENTRIES, SCAN_ENTRIES
from ledger.service.ledgers import Ledgers
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from ledger.testing import ManualClock
from tests.graphql_client import ask, refused, told
from tests.test_entries import FILTERS, HISTORY


class Counting(MemoryStore):
    """Counts how often entries are picked, and how many."""

    def __init__(self) -> None:
        super().__init__()
        self.picks: list[int] = []
        self.contents = 0

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        self.picks.append(len(seqs))
        self.contents += content
        return await super().pick(ledger, seqs, content=content)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "ledger.db")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def ledgers(store: Store, clock: ManualClock) -> AsyncIterator[Ledgers]:
    async with open_ledgers(store, clock=clock) as opened:
        yield opened


async def write(ledgers: Ledgers, *commands: dict[str, Any]) -> None:
    service = await ledgers.get("main", create=True)
    for command in commands:
        await service.apply(command)


def record(key: str | None, content: Any = 1, kind: str = "belief", **more: Any) -> dict[str, Any]:
    return {"op": "record", "kind": kind, "content": content, **({} if key is None else {"key": key}), **more}


async def found(ledgers: Ledgers, **variables: Any) -> list[str]:
    text = """query ($filter: EntryFilter, $first: Int, $after: String, $newestFirst: Boolean! = false) {
      entries(filter: $filter, first: $first, after: $after, newestFirst: $newestFirst) { nodes { id } }
    }"""
    return [node["id"] for node in (await ask(ledgers, text, **variables))["entries"]["nodes"]]


# --- filters --------------------------------------------------------------------------------------------------


@pytest.fixture
async def history(ledgers: Ledgers, clock: ManualClock) -> Ledgers:
    for command in HISTORY:
        if command is None:
            clock.wait(60)
        else:
            await write(ledgers, command)
    return ledgers


@pytest.mark.parametrize(("wanted", "seqs"), [*FILTERS, ({"kinds": []}, [])])
async def test_filters(history: Ledgers, wanted: dict[str, Any], seqs: list[int]) -> None:
    filter = {camel_case(name): value for name, value in wanted.items()}
    expected = [f"@{seq}" for seq in seqs]
    assert await found(history, filter=filter) == expected
    assert await found(history, filter=filter, newestFirst=True) == expected[::-1]


async def test_a_filter_that_names_nothing_is_refused(history: Ledgers) -> None:
    error = await refused(history, '{ entries(filter: { about: "docs/x" }) { nodes { id } } }')
    assert (error["code"], error["ref"]) == ("not_found", "docs/x")
    error = await refused(history, '{ entries(filter: { recordedSince: "yesterday" }) { nodes { id } } }')
    assert error["code"] == "malformed"
    assert "RFC 3339" in error["message"]
    text = "query ($since: DateTime) { entries(filter: { recordedSince: $since }) { nodes { id } } }"
    for since in ("2026-01-01T00:00:00", 5, True, []):
        error = await refused(history, text, since=since)
        assert (error["code"], "RFC 3339" in error["message"]) == ("malformed", True), error


# --- pages ----------------------------------------------------------------------------------------------------

PAGE = """query ($after: String, $newestFirst: Boolean!, $filter: EntryFilter) {
  entries(first: 3, after: $after, newestFirst: $newestFirst, filter: $filter) {
    edges { cursor node { seq } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("filter", [None, {"kinds": ["belief"]}, {"actor": "ann"}])
async def test_pages_miss_nothing_and_repeat_nothing(
    ledgers: Ledgers, newest_first: bool, filter: dict[str, Any] | None
) -> None:
    """While the log grows between them, too."""
    await write(ledgers, *(record(f"b/{number}", actor="ann") for number in range(8)))
    seen: list[int] = []
    after = None
    while True:
        page = (await ask(ledgers, PAGE, after=after, newestFirst=newest_first, filter=filter))["entries"]
        seen += [edge["node"]["seq"] for edge in page["edges"]]
        info = page["pageInfo"]
        assert info["hasPreviousPage"] is (after is not None)
        assert info["startCursor"] == page["edges"][0]["cursor"]
        assert info["endCursor"] == page["edges"][-1]["cursor"]
        if not info["hasNextPage"]:
            break
        after = info["endCursor"]
        if len(seen) < 6:
            await write(ledgers, record(f"more/{len(seen)}", actor="ann"))
    assert seen == (list(range(8, 0, -1)) if newest_first else list(range(1, 10)))


@pytest.mark.parametrize("cursor", ["", "!", "MQ==", "MS4y", "YWJj", "4", "MA" * 40])
async def test_a_cursor_of_something_else_is_refused(ledgers: Ledgers, cursor: str) -> None:
    await write(ledgers, record("a"))
    error = await refused(ledgers, "query ($c: String) { entries(after: $c) { nodes { id } } }", c=cursor)
    assert (error["code"], error["field"]) == ("malformed", "after")


async def test_remediation_is_paged_those_to_repair_first(ledgers: Ledgers) -> None:
    await write(
        ledgers,
        *(record(f"ground/{number}") for number in range(4)),
        *(record(f"pay/{number}", 1, "mutation", because=[[f"ground/{number}"]]) for number in range(4)),
        {"op": "revoke", "target": "ground/0"},
        {"op": "revoke", "target": "ground/1", "mode": "wrong_from_birth"},
        {"op": "revoke", "target": "ground/3", "mode": "quarantined"},
    )
    text = """query ($after: String) { remediation(first: 1, after: $after) {
      nodes { ref ... on MutationEntry { remedy { needed causes { id } } } } pageInfo { hasNextPage endCursor } } }"""
    seen, after = [], None
    while True:
        page = (await ask(ledgers, text, after=after))["remediation"]
        seen += [(node["ref"], node["remedy"]["needed"], node["remedy"]["causes"][0]["id"]) for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert seen == [("pay/1@1", True, "@10"), ("pay/3@1", True, "@11"), ("pay/0@1", False, "@9")]
    standing = await ask(ledgers, '{ entry(ref: "pay/2") { ... on MutationEntry { remedy { needed } } } }')
    assert standing["entry"]["remedy"] is None


# --- checks ---------------------------------------------------------------------------------------------------


async def test_a_check_says_what_the_library_says(history: Ledgers) -> None:
    refs = ["docs/a", "docs/a@1", "b", "@3", "docs/c", "nowhere", "@x", "docs/a@sha256:00000000"]
    text = """query ($refs: [ID!]!) { freshness(refs: $refs) { revision clock fresh
      withheld { ref } verdicts { ref state reason entryId causeId successorRef } } }"""
    data = (await ask(history, text, refs=refs))["freshness"]
    report = await (await history.get("main")).check(refs)
    assert data["verdicts"] == [
        {
            "ref": one.ref,
            "state": one.state,
            "reason": one.reason,
            "entryId": one.id,
            "causeId": one.cause,
            "successorRef": one.successor,
        }
        for one in report.verdicts
    ]
    assert data["fresh"] == report.fresh == ["docs/a", "@3"]
    assert [one["ref"] for one in data["withheld"]] == [one.ref for one in report.withheld]
    assert (data["revision"], data["clock"]) == (report.revision, report.clock)


async def test_a_check_leads_on_to_entries(history: Ledgers) -> None:
    text = """{ freshness(refs: ["docs/a@1", "nowhere"]) { verdicts {
      entry { ref content } cause { id } successor { ref content } checkedAt } } }"""
    first, second = (await ask(history, text))["freshness"]["verdicts"]
    assert first == {
        "entry": {"ref": "docs/a@1", "content": 1},
        "cause": {"id": "@4"},
        "successor": {"ref": "docs/a@2", "content": 2},
        "checkedAt": "2026-01-01T00:00:00.000000Z",
    }
    assert second == {"entry": None, "cause": None, "successor": None, "checkedAt": None}


async def test_ages_and_revisions(history: Ledgers, clock: ManualClock) -> None:
    clock.wait(100)
    aged = await ask(history, '{ freshness(refs: ["docs/a"], maxAgeS: 30) { withheld { reason } } }')
    assert aged["freshness"]["withheld"] == [{"reason": "unverified"}]
    why = await ask(history, '{ why(ref: "docs/a", maxAgeS: 30) { verdict { reason } path { reason entry { id } } } }')
    assert why["why"]["verdict"] == {"reason": "unverified"}
    assert [step["entry"]["id"] for step in why["why"]["path"]] == ["@4", "@4"]
    head = (await ask(history, "{ ledger { revision } }"))["ledger"]["revision"]
    asked = "query ($r: String) { freshness(refs: [], atLeast: $r, full: true) { revision } }"
    assert (await ask(history, asked, r=head))["freshness"]["revision"] == head
    assert (await refused(history, asked, r="main@6.00000000"))["code"] == "foreign_revision"
    assert (await refused(history, asked, r="6"))["code"] == "malformed"
    error = await refused(history, '{ freshness(refs: ["a"], maxAgeS: -1) { fresh } }')
    assert (error["code"], error["field"]) == ("malformed", "maxAgeS")


class Cut(MemoryStore):
    """A store that is asked by polling, and does not answer while it is cut off."""

    poll_s = 60.0
    cut = False

    async def read(self, *args: Any, **kwargs: Any) -> list[Sealed]:
        if self.cut:
            raise Unavailable("the store does not answer: bolt://secret:7687 refused")
        return await super().read(*args, **kwargs)

    async def head(self, ledger: str) -> Head | None:
        if self.cut:
            raise Unavailable("the store does not answer")
        return await super().head(ledger)


async def test_cut_off_nothing_is_fresh() -> None:
    """Law 9: a check says so of each reference; other reads are refused, and help when tried again."""
    store = Cut()
    async with open_ledgers(store, max_lag_s=0.05) as ledgers:
        await write(ledgers, record("a"))
        store.cut = True
        await asyncio.sleep(0.1)
        data = await ask(ledgers, '{ freshness(refs: ["a"]) { fresh withheld { state reason } } }')
        assert data["freshness"] == {"fresh": [], "withheld": [{"state": "unknown", "reason": "behind"}]}
        error = await refused(ledgers, '{ why(ref: "a") { revision } }')
        assert (error["code"], error["retry"]) == ("behind", True)
        store.cut = False
        assert await ask(ledgers, '{ why(ref: "a") { verdict { state } } }') == {"why": {"verdict": {"state": "fresh"}}}


# --- the graph ------------------------------------------------------------------------------------------------


async def test_each_level_is_one_read_of_the_store() -> None:
    store = Counting()
    async with open_ledgers(store) as ledgers:
        await write(
            ledgers,
            *(record(f"a/{number}") for number in range(20)),
            *(record(f"b/{number}", because=[[f"a/{number}", "a/0"]]) for number in range(20)),
            *(record(f"c/{number}", because=[[f"b/{number}"]]) for number in range(20)),
            {"op": "revoke", "target": "a/0"},
        )
        store.picks.clear()
        text = """{
          entries(filter: { keyPrefix: "c/" }, first: 20) { nodes { ... on RecordEntry {
            verdict { cause { id } } because { ref because { ref withdrawnBy { id } } } } } }
          other: freshness(refs: ["c/1", "c/2"]) { withheld { entry { id } cause { id } } }
        }"""
        data = await ask(ledgers, text)
        assert data["entries"]["nodes"][3] == {
            "verdict": {"cause": {"id": "@61"}},
            "because": [
                [
                    {
                        "ref": "b/3@1",
                        "because": [
                            [{"ref": "a/3@1", "withdrawnBy": []}, {"ref": "a/0@1", "withdrawnBy": [{"id": "@61"}]}]
                        ],
                    }
                ]
            ],
        }
        assert sum(store.picks) == 20 + 20 + 20 + 1  # each entry once
        assert len(store.picks) <= 4  # one for each level
        assert store.contents == 0  # nobody asked for a content
        await ask(ledgers, '{ entry(ref: "a/1") { ... on RecordEntry { content } } }')
        assert store.contents == 1


async def test_every_kind_of_entry(ledgers: Ledgers, clock: ManualClock) -> None:
    await write(
        ledgers,
        record("d", 1, "dependency", valid_until="2026-01-01T00:01:00Z"),
        record("old"),
        record("x", 1, because=[["d"]], cites=["old"], supersedes=["old"]),
        record("y", 1, "approval"),
        record("x", 1, because=[["y"]]),  # @5 justification
        record("d", 1, "dependency"),  # @6 verification
        {"op": "verify", "target": "d", "digest": "sha256:" + "0" * 64},
        {"op": "revoke", "target": "y", "reason": "no", "mode": "quarantined"},
        record("y", 1, "approval"),  # @9 attempt
        {"op": "reinstate", "target": "y", "lifts": ["@8"], "reason": "yes"},
        record("z", 1, "mutation"),
        record("z", 2, "mutation", amends=1, actor="ann", occurred_at="2025-12-31T00:00:00Z"),
        record(None, 1, "decision"),
        record(None, 1, "context"),
    )
    clock.wait(61)
    await write(ledgers, record("last"))
    text = """{ entries { nodes { __typename id seq kind ref ledger actor occurredAt outcomes
      ... on RecordEntry { key version digest content validUntil amends { ref } cites { ref } supersedes { ref }
        supersededBy { id } because { ref } verdict { state reason } }
      ... on EventEntry { targets { ref } }
      ... on RevocationEntry { mode why: reason effectiveAt }
      ... on ReinstatementEntry { why: reason lifts { id } }
      ... on VerificationEntry { observed }
      ... on JustificationEntry { observed added: because { ref } supersedes { ref } }
      ... on AttemptEntry { observed }
    } } }"""
    nodes = {node["id"]: node for node in (await ask(ledgers, text))["entries"]["nodes"]}
    kinds = [node["kind"] for node in nodes.values()]
    assert kinds == [
        *("dependency", "belief", "belief", "approval", "justification", "verification", "verification", "revocation"),
        *("attempt", "reinstatement", "mutation", "mutation", "decision", "context", "expiry", "belief"),
    ]
    assert [node["__typename"] for node in nodes.values()] == [kind.capitalize() + "Entry" for kind in kinds]
    assert nodes["@3"]["cites"] == nodes["@3"]["supersedes"] == [{"ref": "old@1"}]
    assert nodes["@2"]["supersededBy"] == [{"id": "@3"}]
    assert nodes["@5"]["added"] == [[{"ref": "y@1"}]]
    assert nodes["@5"]["targets"] == [{"ref": "x@1"}]
    assert nodes["@7"]["outcomes"] == ["diverged"]
    assert (nodes["@8"]["mode"], nodes["@8"]["why"]) == ("quarantined", "no")
    assert nodes["@9"]["outcomes"] == ["withheld"]
    assert nodes["@10"]["lifts"] == [{"id": "@8"}]
    assert nodes["@12"]["amends"] == {"ref": "z@1"}
    assert (nodes["@12"]["actor"], nodes["@12"]["occurredAt"]) == ("ann", "2025-12-31T00:00:00.000000Z")
    assert nodes["@13"]["key"] is None
    assert nodes["@1"]["validUntil"] == "2026-01-01T00:01:00.000000Z"
    assert nodes["@15"]["targets"] == [{"ref": "d@1"}]


async def test_slices(history: Ledgers) -> None:
    text = """query ($depth: Int, $limit: Int) { causes(ref: "b", depth: $depth, limit: $limit) {
      revision nodes { id depth state reason entry { ref } } edges { source type target } truncated hidden } }"""
    whole = (await ask(history, text))["causes"]
    assert [(node["id"], node["entry"]["ref"], node["depth"]) for node in whole["nodes"]] == [
        ("@2", "b@1", 0),
        ("@1", "docs/a@1", 1),
        ("@4", "docs/a@2", 2),
    ]
    assert {"source": "@2", "type": "BECAUSE", "target": "@1"} in whole["edges"]
    assert {"source": "@4", "type": "SUPERSEDES", "target": "@1"} in whole["edges"]
    part = (await ask(history, text, limit=1))["causes"]
    assert (part["truncated"], part["hidden"]) == (True, 1)
    assert (await ask(history, text, depth=0))["causes"]["hidden"] == 1
    assert (await refused(history, text, depth=-1))["field"] == "depth"
    assert (await refused(history, text, limit=0))["field"] == "limit"


@pytest.mark.parametrize(
    "query",
    [
        'history(ref: "b", last: %d) { revision }',
        'history(ref: "b") { editions { last { states(last: %d) { count } } } }',
    ],
)
async def test_how_many_of_the_last_is_refused_by_that_name(history: Ledgers, query: str) -> None:
    for number, code in ((0, "malformed"), (501, "too_large")):
        error = await refused(history, f"{{ {query % number} }}")
        assert (error["code"], error["field"]) == (code, "last")
        assert code == "too_large" or error["message"] == "last is at least 1, not 0"


async def test_an_impact_may_name_nobody(ledgers: Ledgers) -> None:
    """As at every other door: the counts are whole."""
    await write(ledgers, record("p", 1))
    text = 'query ($limit: Int) { impact(commands: [{revoke: {target: "p"}}], limit: $limit) { fell { count first } } }'
    fell = (await ask(ledgers, text, limit=0))["impact"]["fell"]
    assert fell == {"count": 1, "first": []}
    assert (await refused(ledgers, text, limit=-1))["field"] == "limit"


async def test_what_a_list_may_hold_at_most_is_said_where_pages_may_be_larger(history: Ledgers) -> None:
    for query in ('diff(from: "1970-01-01T00:00:00Z", first: 1001)', 'compare(other: "main", first: 1001)'):
        error = await refused(history, f"{{ {query} {{ __typename }} }}", limits=Limits(page_max=5_000))
        assert (error["code"], error["field"], error["most"]) == ("too_large", "first", 1_000)


async def test_what_has_no_key_is_not_superseded(ledgers: Ledgers) -> None:
    await write(ledgers, record(None), record("a", 1), record("a", 2))
    data = await ask(ledgers, '{ causes(ref: "@1") { nodes { id } edges { type } } }')
    assert data["causes"] == {"nodes": [{"id": "@1"}], "edges": []}


# --- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ('entry(ref: "nope") { id }', "not_found"),
        ('entry(ref: "docs/a@9") { id }', "not_found"),
        ('entry(ref: "@99") { id }', "not_found"),
        ('entry(ref: "@99999999999999999999") { id }', "malformed"),
        ('entry(ref: "@x") { id }', "malformed"),
        ('entry(ref: "") { id }', "malformed"),
        ('why(ref: "nope") { revision }', "not_found"),
        ('causes(ref: "nope") { revision }', "not_found"),
        ('consequences(ref: "@0") { revision }', "not_found"),
        ('ledger(name: "nope") { head }', "no_such_ledger"),
        ('ledger(name: "../x") { head }', "malformed"),
    ],
)
async def test_what_cannot_be_resolved_is_null_and_an_error(history: Ledgers, field: str, code: str) -> None:
    """And the other fields of the operation are answered."""
    data, errors = await told(history, f"{{ asked: {field} ledgers }}")
    assert data == {"asked": None, "ledgers": ["main"]}
    assert [error["extensions"]["code"] for error in errors] == [code]
    assert errors[0]["path"] == ["asked"]


async def test_two_ledgers_in_one_operation(ledgers: Ledgers) -> None:
    await write(ledgers, record("a", "here"))
    await (await ledgers.get("other", create=True)).apply(record("a", "there"))
    text = """{ a: entry(ref: "@1") { ...E } b: entry(ledger: "other", ref: "@1") { ...E } }
      fragment E on RecordEntry { ledger content }"""
    assert await ask(ledgers, text) == {
        "a": {"ledger": "main", "content": "here"},
        "b": {"ledger": "other", "content": "there"},
    }


async def test_a_long_log_is_searched_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nobody waits for it; and no more is read than the page needs."""
    monkeypatch.setattr("ledger.service.finding.SCAN_ENTRIES", 50)
    monkeypatch.setattr("ledger.service.finding.PICK_ENTRIES", 10)
    assert SCAN_ENTRIES > PICK_ENTRIES
    store = Counting()
    async with open_ledgers(store) as ledgers:
        commands = [record(f"b/{number}", actor="ann" if number % 40 == 7 else "bob") for number in range(400)]
        await write(ledgers, {"op": "batch", "commands": commands})
        store.picks.clear()
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        beside = asyncio.create_task(others())
        assert await found(ledgers, filter={"actor": "ann"}, first=3) == ["@8", "@48", "@88"]
        beside.cancel()
        assert max(store.picks) <= 10
        assert sum(store.picks) < 200
        assert turns > 3


# --- differences ----------------------------------------------------------------------------------------------


async def test_a_diff_says_what_the_library_says(ledgers: Ledgers, clock: ManualClock) -> None:
    soon = format_moment(clock.now_us + 10 * SECOND)
    await write(ledgers, record("p", 1, "dependency", valid_until=soon), record("b", because=[["p"]]))
    service = await ledgers.get("main")
    before = service.live.revision
    clock.wait(20)
    await write(ledgers, record("c"), {"op": "revoke", "target": "c", "mode": "quarantined"})
    text = """query ($from: String!, $to: String) { diff(from: $from, to: $to) {
      from { revision } to { revision }
      recorded { count first { ref verdict { state reason causeId } entry { actor } } }
      withdrawn { first { targets entry { ... on RevocationEntry { mode } } } }
      noted { first { kind } }
      fallen { count first { verdict { ref reason cause { id } } event { at entryId kind entry { id } } } }
    } }"""
    told = (await ask(ledgers, text, **{"from": before}))["diff"]
    found = await service.diff(before)
    assert (told["from"]["revision"], told["to"]["revision"]) == (before, found.to.revision)
    verdict = {"state": "stale", "reason": "quarantined", "causeId": "@5"}
    assert told["recorded"] == {"count": 1, "first": [{"ref": "c@1", "verdict": verdict, "entry": {"actor": None}}]}
    assert told["withdrawn"] == {"first": [{"targets": ["c@1"], "entry": {"mode": "quarantined"}}]}
    assert told["noted"] == {"first": [{"kind": "expiry"}]}
    passed = {"at": soon, "entryId": None, "kind": None, "entry": None}
    assert told["fallen"]["first"] == [
        {"verdict": {"ref": "p@1", "reason": "expired", "cause": {"id": "@1"}}, "event": passed},
        {"verdict": {"ref": "b@1", "reason": "unsupported", "cause": {"id": "@1"}}, "event": passed},
    ]
    error = await refused(ledgers, text, **{"from": found.to.revision, "to": before})
    assert (error["code"], error["field"]) == ("malformed", "from")


async def test_the_states_something_went_through(ledgers: Ledgers, clock: ManualClock) -> None:
    await write(ledgers, record("p"), record("b", because=[["p"]]))
    before = (await ledgers.get("main")).live.revision
    await write(ledgers, record("p", 2), record("b", 2, because=[["p"]]), record("b", 3))
    text = """query ($at: String, $last: Int, $states: Int) { history(ref: "b@1", at: $at, last: $last) {
      revision
      editions { count last { ref entry { seq } states(last: $states) { count last {
        since { entryId entry { ref } } until { entryId kind } state reason causeId cause { id }
      } } } }
    } }"""
    told = (await ask(ledgers, text, last=2, states=1))["history"]["editions"]
    assert (told["count"], [one["ref"] for one in told["last"]]) == (3, ["b@2", "b@3"])
    (state,) = told["last"][0]["states"]["last"]
    assert (told["last"][0]["states"]["count"], state["reason"]) == (2, "superseded")
    first = (await ask(ledgers, text))["history"]["editions"]["last"][0]
    assert first["entry"] == {"seq": 2}
    assert first["states"]["last"][1] == {
        "since": {"entryId": "@3", "entry": {"ref": "p@2"}},
        "until": {"entryId": "@4", "kind": "belief"},
        "state": "stale",
        "reason": "unsupported",
        "causeId": "@3",
        "cause": {"id": "@3"},
    }
    told = (await ask(ledgers, text, at=before))["history"]
    assert (told["revision"], told["editions"]["count"]) == (before, 1)
    assert [one["until"] for one in told["editions"]["last"][0]["states"]["last"]] == [None]


async def test_two_ledgers_key_by_key(ledgers: Ledgers) -> None:
    await write(ledgers, record("p"), record("q"), record("r", 1), record("only"))
    before = (await ledgers.get("main")).live.revision
    await write(ledgers, {"op": "revoke", "target": "q"}, record("r", 2))
    staging = await ledgers.get("staging", create=True)
    for command in (record("p"), record("q"), record("r"), record("s")):
        await staging.apply(command)
    text = """query ($at: String) { compare(other: "staging", at: $at, first: 5) {
      here { revision } there { revision }
      onlyHere { first { key there { id } } } onlyThere { count first { here { id } there { ref id digest } } }
      content { first { key here { digest } there { digest } } }
      verdict { first { key here { state reason } there { state reason } } }
      same
    } }"""
    told = (await ask(ledgers, text))["compare"]
    assert told["there"] == {"revision": staging.live.revision}
    assert told["onlyHere"] == {"first": [{"key": "only", "there": None}]}
    s = {"ref": "s@1", "id": "@4", "digest": digest_of(1)}
    assert told["onlyThere"] == {"count": 1, "first": [{"here": None, "there": s}]}
    r = {"key": "r", "here": {"digest": digest_of(2)}, "there": {"digest": digest_of(1)}}
    assert told["content"] == {"first": [r]}
    q = {"key": "q", "here": {"state": "stale", "reason": "revoked"}, "there": {"state": "fresh", "reason": None}}
    assert told["verdict"] == {"first": [q]}
    assert told["same"] == 1
    told = (await ask(ledgers, text, at=before))["compare"]
    assert (told["here"], told["same"]) == ({"revision": before}, 3)
    assert (await refused(ledgers, '{ compare(other: "none") { same } }'))["code"] == "no_such_ledger"
