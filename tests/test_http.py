"""The contract of the service over HTTP: freshness, commands, health, metrics, errors; through a real server."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from ledger.api.application import _limits
from ledger.api.health import Readiness
from ledger.api.logs import Log
from ledger.api.schema.limits import DEFAULTS
from ledger.errors import Corrupt, Full, LedgerError, Unavailable
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore
from tests.serving import JSON, LINES, Service, SlowStore, serving


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        yield running


def record(key: str, content: Any = 1, kind: str = "belief", **more: Any) -> dict[str, Any]:
    return {"op": "record", "kind": kind, "key": key, "content": content, **more}


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an error, which has the one shape of all errors."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    told: dict[str, Any] = answer.json()
    assert {"code", "message", "retry"} <= told.keys()
    assert told["code"] == code, told
    return told


class TestFreshness:
    async def test_answers_what_the_command_line_prints(self, service: Service) -> None:
        await service.write(record("a"), record("b", because=[["a"]]), {"op": "revoke", "target": "a"}, record("c"))
        refs = ["c", "b", "c@1", "@1", "nowhere", "c@sha256:12345678", "@", "a"]
        ledger = await service.ledgers.get("main")
        answer = await service.check(*refs)
        expected = (await ledger.check(refs)).as_dict()
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() | {"clock": ""} == expected | {"clock": ""}
        assert list(answer.json()) == ["revision", "clock", "verdicts"]

    async def test_says_again_what_was_said_until_something_changes(self, service: Service) -> None:
        await service.write(record("a"), record("b", because=[["a"]]))
        first, second = await service.check("a", "b"), await service.check("b", "a")
        assert first.json()["verdicts"] == second.json()["verdicts"][::-1]
        revision = lines(await service.write({"op": "revoke", "target": "a"}))[0]["revision"]
        after = (await service.check("a", "b")).json()
        assert after["revision"] == revision
        assert [(one["state"], one["reason"]) for one in after["verdicts"]] == [
            ("stale", "revoked"),
            ("stale", "unsupported"),
        ]

    async def test_odd_names_are_written_as_json(self, service: Service) -> None:
        names = ['quote"d', "back\\slash", "umlaut/ü", "кириллица", "emoji/😀", "a,b", '","state":"fresh']
        await service.write(*map(record, names))
        for asked in (names, names[3:4], [*names, "plain"]):
            verdicts = (await service.check(*asked)).json()["verdicts"]
            assert [verdict["ref"] for verdict in verdicts] == asked
            assert {verdict["state"] for verdict in verdicts if verdict["ref"] != "plain"} == {"fresh"}

    async def test_no_references_are_no_verdicts(self, service: Service) -> None:
        await service.write(record("a"))
        assert (await service.check()).json()["verdicts"] == []

    async def test_expires_in_between(self, service: Service) -> None:
        now = service.ledgers.clock
        ledger = await service.ledgers.get("main", create=True)
        await service.write(record("a", valid_until="2999-01-01T00:00:00Z"))
        assert (await service.check("a")).json()["verdicts"][0]["state"] == "fresh"
        ledger.clock = lambda: now() + 1_000 * 365 * 86_400 * 1_000_000
        assert (await service.check("a")).json()["verdicts"][0]["reason"] == "expired"

    async def test_of_a_ledger_nobody_wrote_to(self, service: Service) -> None:
        await service.write(record("a"))
        told = problem(await service.check("a", ledger="other"), 404, "no_such_ledger")
        assert told["message"].endswith("here are: main")
        assert await service.ledgers.names() == ["main"]

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", None),
            (b"{", None),
            (b"[]", None),
            (b'{"refs":"a"}', "refs"),
            (b'{"refs":["a",1]}', "refs[1]"),
            (b'{"refs":["\xff"]}', None),
            (b'{"refs":["\\ud800",1]}', "refs[1]"),
            (b'{"refs":["\\ud800"', None),
            (b'{"refs":[],"\\ud800":1}', None),
            (b'{"refs":[],"at":"\\ud800"}', "at"),
            (b'{"refs":[],"max_age_s":-1}', "max_age_s"),
            (b'{"refs":[],"max_age_s":1e999}', "max_age_s"),
            (b'{"refs":[],"at_least":"main@one"}', "at_least"),
            (b'{"refs":[],"at_leats":"main@0.00000000"}', "at_leats"),
            (b"[" * 100_000, None),
        ],
    )
    async def test_what_is_no_request(self, service: Service, body: bytes, field: str | None) -> None:
        await service.write(record("a"))
        answer = await service.client.post("/v1/ledgers/main/freshness", content=body, headers=JSON)
        assert problem(answer, 400, "malformed").get("field") == field

    @pytest.mark.parametrize("more", [b"", b',"max_age_s":9', b',"full":true'])
    async def test_half_a_letter_is_malformed_and_the_others_are_not(self, service: Service, more: bytes) -> None:
        """As `JSON.stringify` writes a text that was cut in two."""
        await service.write(record("a"), record("\N{GRINNING FACE}"), record("\ufffd"))
        body = b'{"refs":["a","\\ud83d","x\\uDE00","\\ud83d\\ude00","\\\\ud83d"]' + more + b"}"
        for _ in range(2):
            answer = await service.client.post("/v1/ledgers/main/freshness", content=body, headers=JSON)
            assert [(one["ref"], one["state"], one.get("reason")) for one in answer.json()["verdicts"]] == [
                ("a", "fresh", None),
                ("\ufffd", "unknown", "malformed"),
                ("x\ufffd", "unknown", "malformed"),
                ("\N{GRINNING FACE}", "fresh", None),
                ("\\ud83d", "unknown", "not_found"),
            ]

    async def test_any_age_may_be_asked_for(self, service: Service) -> None:
        await service.write(record("a", kind="dependency"))
        for age in (0, 0.5, 1e300):
            assert (await service.check("a", max_age_s=age)).status_code == 200

    async def test_at_least_of_another_history(self, service: Service) -> None:
        await service.write(record("a"))
        problem(await service.check("a", at_least="main@1.00000000"), 409, "foreign_revision")
        problem(await service.check("a", at_least="other@1.00000000"), 409, "foreign_revision")


class TestCommands:
    async def test_are_one_atomic_batch_and_one_result_a_line(self, service: Service) -> None:
        answer = await service.write(record("a"), record("b", because=[["a"]]), {"op": "revoke", "target": "a"})
        assert answer.status_code == 200
        results = lines(answer)
        assert [result["outcome"] for result in results] == ["recorded", "recorded", "revoked"]
        assert results[2]["fell"] == {"count": 2, "first": ["a@1", "b@1"]}
        assert len({result["revision"] for result in results}) == 1
        status = await (await service.ledgers.get("main")).status()
        assert (status.head, status.revision) == (3, results[0]["revision"])

    async def test_nothing_is_recorded_when_a_line_is_refused(self, service: Service) -> None:
        await service.write(record("x"))
        told = problem(await service.write(record("a"), record("b", because=[["nowhere"]])), 404, "not_found")
        assert (told["line"], told["field"], told["ref"]) == (2, "because", "nowhere")
        assert (await (await service.ledgers.get("main")).status()).head == 1

    async def test_a_line_is_counted_as_it_stands_in_the_body(self, service: Service) -> None:
        body = b'\n{"op":"record","kind":"belief","content":1}\n\n \r\n{"op":"revoke","target":"@9"}\n\n'
        answer = await service.client.post("/v1/ledgers/main/commands", content=body, headers=LINES)
        assert problem(answer, 404, "not_found")["line"] == 5

    @pytest.mark.parametrize("atomic", ["true", "false"])
    @pytest.mark.parametrize(
        ("line", "field"),
        [
            (b"nonsense", None),
            (b"[]", None),
            (b'{"op":"recrod"}', "op"),
            (b'{"op":"record","kind":"belief","content":1,"contents":2}', "contents"),
            (b'{"op":"record","kind":"belief","content":1,"\\ud800":2}', None),
            (b'{"op":"record","kind":"belief","content":{"a":1,"a":2}}', None),
            (b'{"op":"record","kind":"belief","content":1,"because":["a"]}', "because.0"),
        ],
    )
    async def test_the_form_of_all_is_checked_first(
        self, service: Service, atomic: str, line: bytes, field: str | None
    ) -> None:
        body = b'{"op":"record","kind":"belief","content":1}\n' + line
        answer = await service.client.post(f"/v1/ledgers/main/commands?atomic={atomic}", content=body, headers=LINES)
        told = problem(answer, 400, "malformed")
        assert (told["line"], told.get("field")) == (2, field)
        assert await service.ledgers.names() == []

    async def test_each_line_by_itself_stops_at_the_first_refusal(self, service: Service) -> None:
        commands = [record("a"), {"op": "batch", "commands": [record("b"), record("c")]}, record("d", because=[["z"]])]
        answer = await service.write(*commands, record("e"), record("f"), atomic="false")
        assert answer.status_code == 207
        first, batch, refused = lines(answer)
        assert first["entry"] == "@1"
        assert [result["entry"] for result in batch["results"]] == ["@2", "@3"]
        assert (refused["code"], refused["line"], refused["not_tried"]) == ("not_found", 3, 2)
        assert (await (await service.ledgers.get("main")).status()).head == 3

    async def test_each_line_by_itself_when_the_first_is_refused(self, service: Service) -> None:
        told = problem(
            await service.write({"op": "revoke", "target": "z"}, record("a"), atomic="false"), 404, "not_found"
        )
        assert told["line"] == 1

    async def test_each_line_by_itself_shares_commits(self, service: Service) -> None:
        answer = await service.write(*(record(f"n/{n}") for n in range(2_500)), atomic="false")
        results = lines(answer)
        assert [result["entry"] for result in results] == [f"@{n}" for n in range(1, 2_501)]
        samples = await service.metrics()
        assert samples['ledger_commit_entries_count{ledger="main"}'] < 30
        assert samples['ledger_commit_entries_sum{ledger="main"}'] == 2_500

    async def test_what_a_store_did_before_it_failed_is_told(self) -> None:
        store = _FailsLater()
        async with serving(store) as service:
            commands = [record(f"n/{n}") for n in range(2_500)]
            answer = await service.write(*commands, atomic="false")
            *results, stopped = lines(answer)
            assert answer.status_code == 207
            assert len(results) == 2_000
            assert (stopped["code"], stopped["line"], stopped["not_tried"]) == ("full", 2_001, 499)

    async def test_json_is_one_command_on_as_many_lines_as_it_likes(self, service: Service) -> None:
        answer = await service.client.post(
            "/v1/ledgers/main/commands", content=json.dumps(record("a"), indent=2), headers=JSON
        )
        assert lines(answer)[0]["outcome"] == "recorded"

    async def test_a_batch_alone_is_that_batch(self, service: Service) -> None:
        batch = {"op": "batch", "commands": [record("a"), record("b")], "idempotency_key": "k"}
        assert len(lines(await service.write(batch))) == 2
        assert [one["replayed"] for one in lines(await service.write(batch))] == [True, True]
        told = problem(await service.write(batch, record("c")), 400, "malformed")
        assert told["line"] == 1

    async def test_a_refusal_within_a_batch_names_line_and_command(self, service: Service) -> None:
        batch = {"op": "batch", "commands": [record("a"), record("b", because=[["z"]])]}
        for atomic in ("true", "false"):
            told = problem(await service.write(batch, atomic=atomic), 404, "not_found")
            assert (told["line"], told["command"]) == (1, 1)

    async def test_the_same_again_is_answered_not_repeated(self, service: Service) -> None:
        command = record("a", idempotency_key="once")
        (first,), (second,) = lines(await service.write(command)), lines(await service.write(command))
        assert first | {"replayed": True} == second
        problem(await service.write(record("a", 2, idempotency_key="once")), 409, "idempotency_conflict")

    async def test_the_same_without_a_key_is_another_command(self, service: Service) -> None:
        command = {"op": "record", "kind": "belief", "content": 1}
        entries = [lines(await service.write(command))[0]["entry"] for _ in range(2)]
        assert entries == ["@1", "@2"]

    async def test_making_a_ledger_is_said(self, service: Service) -> None:
        assert (await service.write(record("a"), ledger="new")).headers["ledger-created"] == "new"
        assert "ledger-created" not in (await service.write(record("b"), ledger="new")).headers

    @pytest.mark.parametrize("body", [b"", b"\n \n"])
    async def test_no_command_at_all(self, service: Service, body: bytes) -> None:
        answer = await service.client.post("/v1/ledgers/main/commands", content=body, headers=LINES)
        problem(answer, 400, "malformed")

    @pytest.mark.parametrize("query", ["atomic=no", "atomic=", "atomc=false"])
    async def test_parameters_that_are_none(self, service: Service, query: str) -> None:
        answer = await service.client.post(f"/v1/ledgers/main/commands?{query}", json=record("a"))
        problem(answer, 400, "malformed")
        assert await service.ledgers.names() == []

    async def test_refusals_keep_their_codes(self, service: Service) -> None:
        await service.write(record("a"), record("b", because=[["a"]]))
        problem(await service.write(record("a", kind="approval")), 409, "kind_conflict")
        problem(await service.write(record("a", 2, expects=9)), 409, "not_current")
        problem(await service.write({"op": "reinstate", "target": "a"}), 409, "nothing_to_lift")
        problem(await service.write(record("x", "y" * (1 << 20))), 413, "too_large")
        problem(await service.write(record("a"), ledger="Main"), 400, "malformed")


class _FailsLater(MemoryStore):
    """A store that is full after two thousand entries."""

    async def append(self, ledger: str, expects: Any, entries: Any, states: Any = ()) -> None:
        if expects.seq >= 2_000:
            raise Full("no space left on /dev/secret-disk")
        await super().append(ledger, expects, entries, states)


class TestHealth:
    async def test_lives_and_is_ready(self, service: Service) -> None:
        assert (await service.client.get("/healthz")).json() == {"status": "ok"}
        answer = await service.client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})

    async def test_says_what_it_waits_for_while_it_starts(self) -> None:
        readiness = Readiness(Ledgers(MemoryStore()))
        readiness.waits_for = "the store"
        async with serving(readiness=readiness) as service:
            assert (await service.client.get("/healthz")).status_code == 200
            answer = await service.client.get("/readyz")
            assert (answer.status_code, answer.json()["waits_for"]) == (503, "the store")
            refused = await service.check("a")
            assert problem(refused, 503, "starting")["retry"] is True
            assert refused.headers["retry-after"] == "1"

    async def test_is_not_ready_without_its_store(self, tmp_path: Path) -> None:
        store = _Silent()
        async with serving(store) as service:
            store.silent = Unavailable("bolt://secret-host:7687 is away")
            answer = await service.client.get("/readyz")
            assert (answer.status_code, answer.json()["waits_for"]) == (503, "the store, which does not answer")
            store.silent = Corrupt("page 7 of /secret/file")
            answer = await service.client.get("/readyz")
            assert (answer.status_code, answer.json()["waits_for"]) == (503, "the store, which refuses (corrupt)")
            assert (await service.client.get("/healthz")).status_code == 200

    async def test_is_not_ready_while_it_stops(self) -> None:
        readiness = Readiness(Ledgers(MemoryStore()))
        async with serving(readiness=readiness) as service:
            readiness.stopping = True
            assert (await service.client.get("/readyz")).status_code == 503


class _Silent(MemoryStore):
    """A store that can be told to fail."""

    silent: LedgerError | None = None

    async def ledgers(self) -> list[str]:
        if self.silent is not None:
            raise self.silent
        return await super().ledgers()

    async def append(self, *given: Any, **more: Any) -> None:
        if self.silent is not None:
            raise self.silent
        await super().append(*given, **more)


class TestErrors:
    async def test_of_paths_and_methods(self, service: Service) -> None:
        problem(await service.client.get("/nowhere"), 404, "no_such_route")
        problem(await service.client.get("/v1/ledgers/a/b/freshness"), 404, "no_such_route")
        problem(await service.client.post("/v1/ledgers//commands", json={}), 404, "no_such_route")
        assert (
            "POST"
            in problem(await service.client.get("/v1/ledgers/main/freshness"), 405, "method_not_allowed")["message"]
        )
        problem(await service.client.post("/healthz", json={}), 405, "method_not_allowed")
        problem(await service.client.get("/healthz/"), 404, "no_such_route")

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b'{"name":', "the body is not JSON: Expecting value (character 8)"),
            (b'{"name":"\xff"}', "the body is not JSON in UTF-8, or it is nested too deep"),
            (b"[" * 100_000, "the body is not JSON in UTF-8, or it is nested too deep"),
        ],
    )
    async def test_of_a_body_that_the_framework_reads(self, service: Service, body: bytes, message: str) -> None:
        await service.write(record("a"))
        told = problem(await service.client.post("/v1/ledgers/main/tags", content=body, headers=JSON), 400, "malformed")
        assert (told["message"], "field" in told) == (message, False)

    @pytest.mark.parametrize(
        ("path", "field", "message"),
        [
            ("entries?kind=belief", "kind", "there is no parameter 'kind'; did you mean kinds?"),
            ("diff?form=tag:loaded", "form", "there is no parameter 'form'; did you mean from?"),
            ("audit?xyz=1", "xyz", "there is no parameter 'xyz'; there is at_least"),
            ("export?limit=5", "limit", "there is no parameter 'limit'; there is entries"),
            ("status?xyz=1", "xyz", "there is no parameter 'xyz'; there are at_least, at"),
            ("diff", "from", "from is missing"),
            ("why", "ref", "ref is missing"),
            ("entries?limit=0", "limit", "limit is at least 1, not 0"),
            ("entries?limit=1001", "limit", "limit is at most 1,000, not 1001"),
            ("entries?limit=many", "limit", "limit is a whole number, not 'many'"),
        ],
    )
    async def test_of_parameters_say_what_there_is(self, service: Service, path: str, field: str, message: str) -> None:
        await service.write(record("a"))
        told = problem(await service.client.get(f"/v1/ledgers/main/{path}"), 400, "malformed")
        assert (told["field"], told["message"]) == (field, message)

    @pytest.mark.parametrize(
        ("path", "body", "field", "message"),
        [
            ("tags", {"nam": "x"}, "nam", "there is no field 'nam'; did you mean name?"),
            ("tags", {}, "name", "name is missing"),
            ("tags", None, None, "the body is missing"),
            ("impact?limits=3", {}, "limits", "there is no parameter 'limits'; did you mean limit?"),
            ("commands?atomics=1", {}, "atomics", "there is no parameter 'atomics'; did you mean atomic?"),
        ],
    )
    async def test_of_what_is_posted_say_what_there_is(
        self, service: Service, path: str, body: Any, field: str | None, message: str
    ) -> None:
        await service.write(record("a"))
        content = b"" if body is None else json.dumps(body).encode()
        answer = await service.client.post(f"/v1/ledgers/main/{path}", content=content, headers=JSON)
        told = problem(answer, 400, "malformed")
        assert (told.get("field"), told["message"]) == (field, message)

    async def test_of_the_store_are_told_without_its_words(self) -> None:
        store = _Silent()
        async with serving(store) as service:
            store.silent = Full("disk /dev/secret is full", path="/secret/ledger.db")
            answer = await service.write(record("a"))
            problem(answer, 507, "full")
            assert "secret" not in answer.text
            assert any("/dev/secret" in str(line) for line in service.logged)

    async def test_that_nobody_foresaw_are_found_in_the_log(self, service: Service) -> None:
        await service.write(record("a"))
        ledger = await service.ledgers.get("main")
        ledger.answer = None  # type: ignore[method-assign,assignment]  # a mistake of ours
        told = problem(answer := await service.check("a"), 500, "internal")
        assert told["request_id"] == answer.headers["x-request-id"]
        (line,) = [line for line in service.logged if line["level"] == "error"]
        assert line["request_id"] == told["request_id"]
        assert "TypeError" in line["trace"]
        assert "TypeError" not in answer.text
        assert "NoneType" not in answer.text


class TestLog:
    async def test_has_a_line_a_request(self, service: Service) -> None:
        answer = await service.write(record("a", "very private"), ledger="shop")
        await service.check("a", ledger="shop")
        await service.client.get("/healthz")
        first, second = service.logged
        assert first["route"] == "/v1/ledgers/{ledger}/commands"
        assert (first["method"], first["status"], first["ledger"]) == ("POST", 200, "shop")
        assert first["request_id"] == answer.headers["x-request-id"]
        assert 0 < first["ms"] < 10_000
        assert (second["route"], second["status"]) == ("/v1/ledgers/{ledger}/freshness", 200)
        assert "private" not in str(service.logged)

    def test_for_people_is_a_line_too_whatever_is_in_it(self) -> None:
        stream = io.BytesIO()
        log = Log(Settings.read(log_format="console"), stream)
        log.info("request", ledger="main\n12:00:00 info  forged", status=200, nothing=None)
        log.debug("unheard")
        try:
            raise ValueError("why")
        except ValueError as error:
            log.error("failed", error, code="internal")
        first, second, *trace = stream.getvalue().decode().splitlines()
        assert first.endswith("info    request  ledger='main\\n12:00:00 info  forged' status=200")
        assert second.endswith("error   failed  code=internal")
        assert trace[-1] == "ValueError: why"

    async def test_that_cannot_be_written_keeps_no_answer_back(self, service: Service) -> None:
        await service.write(record("a"))
        ledger = await service.ledgers.get("main")
        ledger.answer = None  # type: ignore[method-assign,assignment]  # a mistake of ours
        service.log.close()  # from now on, as on a full disk
        problem(await service.check("a"), 500, "internal")
        assert (await service.metrics())["ledger_log_failures_total"] == 2  # what failed, and that it was asked

    def test_tells_of_no_half_of_a_letter(self) -> None:
        stream = io.BytesIO()
        log = Log(Settings.read(log_format="json"), stream)
        log.error("failed", message="\ud800")
        log.info("request")
        assert (log.failures, stream.getvalue().count(b"\n")) == (1, 1)

    async def test_holds_no_key(self) -> None:
        async with serving(api_key="s3cret", log_level="debug") as service:
            await service.client.get("/metrics", headers={"authorization": "Bearer s3cret"})
            await service.client.get("/metrics", headers={"authorization": "Bearer wrong-k3y"})
            assert [line["status"] for line in service.logged if line["event"] == "request"] == [200, 401]
            assert "s3cret" not in str(service.logged)
            assert "k3y" not in str(service.logged)


class TestMetrics:
    async def test_count_requests_checks_and_commits(self, service: Service) -> None:
        await service.write(record("a"), *(record(f"b/{n}", because=[["a"]]) for n in range(20)))
        await service.check("a", "b/1", "nowhere", "nowhere")
        await service.write({"op": "revoke", "target": "a"})
        await service.check("a", "b/1")
        await service.client.get("/nowhere")
        samples = await service.metrics()
        expected = {
            'ledger_requests_total{method="POST",route="/v1/ledgers/{ledger}/freshness",status="200"}': 2,
            'ledger_requests_total{method="GET",route="other",status="404"}': 1,
            'ledger_request_seconds_count{route="/v1/ledgers/{ledger}/commands"}': 2,
            'ledger_checks_total{ledger="main"}': 2,
            'ledger_verdicts_total{ledger="main",reason="",state="fresh"}': 2,
            'ledger_verdicts_total{ledger="main",reason="not_found",state="unknown"}': 2,
            'ledger_verdicts_total{ledger="main",reason="unsupported",state="stale"}': 1,
            'ledger_commit_entries_count{ledger="main"}': 2,
            'ledger_commit_entries_sum{ledger="main"}': 22,
            'ledger_commit_seconds_count{ledger="main"}': 2,
            'ledger_cascade_editions_count{ledger="main"}': 22,
            'ledger_cascade_editions_sum{ledger="main"}': 21,
            'ledger_cascade_editions_bucket{le="10.0",ledger="main"}': 21,
            'ledger_cascade_editions_bucket{le="+Inf",ledger="main"}': 22,
            'ledger_head{ledger="main"}': 22,
            'ledger_lag_seconds{ledger="main"}': 0,
            'ledger_queue_commands{ledger="main"}': 0,
            "ledger_max_lag_seconds": 5,
        }
        assert {name: samples.get(name) for name in expected} == expected

    async def test_have_no_label_that_people_invent(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """Whoever has no key may ask for the files of the page, and for what is none."""
        (tmp_path / "page.js").write_text("1")
        monkeypatch.setattr("ledger.api.schema.serving._page_folder", lambda: tmp_path)
        async with serving() as service:
            invented = [f"{start}{n}" for start in ("/graphql/ide/", "/v1/ledgers/", "/", "/graphql/") for n in "123"]
            for path in ("/graphql/ide/page.js", "/openapi.json", "/graphql", "/graphql%0A", *invented):
                await service.client.get(path)
            samples = await service.metrics()
        routes = {name.partition('route="')[2].partition('"')[0] for name in samples if name.startswith("ledger_req")}
        assert routes == {"/graphql/ide", "/openapi.json", "/graphql", "other"}
        assert samples['ledger_requests_total{method="GET",route="/graphql/ide",status="200"}'] == 1
        assert samples['ledger_requests_total{method="GET",route="/graphql/ide",status="404"}'] == 3

    async def test_show_what_waits(self) -> None:
        store = SlowStore()
        async with serving(store) as service:
            writing = [asyncio.create_task(service.write(record(f"n/{n}"))) for n in range(5)]
            await store.asked.wait()
            while (await service.metrics()).get('ledger_queue_commands{ledger="main"}') != 5:
                await asyncio.sleep(0.01)
            store.go.set()
            assert {answer.status_code for answer in await asyncio.gather(*writing)} == {200}


class TestGraphQL:
    """Its own tests ask it directly; here it is one of the routes of the service."""

    async def test_is_counted_and_logged_like_everything(self, service: Service) -> None:
        await service.write(record("a"), {"op": "revoke", "target": "a"})
        query = '{ freshness(refs: ["a", "b"]) { fresh verdicts { state } } }'
        answer = await service.client.post("/graphql", json={"query": query})
        assert [one["state"] for one in answer.json()["data"]["freshness"]["verdicts"]] == ["stale", "unknown"]
        samples = await service.metrics()
        assert samples['ledger_requests_total{method="POST",route="/graphql",status="200"}'] == 1
        assert samples['ledger_checks_total{ledger="main"}'] == 1
        assert samples['ledger_verdicts_total{ledger="main",reason="revoked",state="stale"}'] == 1
        assert [line["route"] for line in service.logged][1] == "/graphql"

    async def test_says_of_half_a_letter_that_it_is_malformed(self, service: Service) -> None:
        await service.write(record("a"))
        query = "query($refs: [ID!]!) { freshness(refs: $refs) { verdicts { ref state reason } } }"
        body = json.dumps({"query": query, "variables": {"refs": ["\ud800", "a"]}})
        answer = await service.client.post("/graphql", content=body, headers=JSON)
        assert answer.json()["data"]["freshness"]["verdicts"] == [
            {"ref": "\ufffd", "state": "unknown", "reason": "malformed"},
            {"ref": "a", "state": "fresh", "reason": None},
        ]

    async def test_is_closed_like_everything(self) -> None:
        async with serving(api_key="s3cret") as service:
            problem(await service.client.post("/graphql", json={"query": "{ ledgers }"}), 401, "unauthorized")
            problem(await service.client.get("/graphql", params={"query": "{ ledgers }"}), 401, "unauthorized")
            headers = {"authorization": "Bearer s3cret", "host": "evil.example"}
            problem(await service.client.post("/graphql", json={}, headers=headers), 421, "host_not_allowed")
            del headers["host"]
            answer = await service.client.post("/graphql", json={"query": "{ ledgers }"}, headers=headers)
            assert answer.json() == {"data": {"ledgers": []}}
            url = f"ws://127.0.0.1:{service.port}/graphql"
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(url)
            assert refused.value.response.status_code == 401
            assert b"unauthorized" in refused.value.response.body
            protocol = websockets.Subprotocol("graphql-transport-ws")
            async with websockets.connect(url, additional_headers=headers, subprotocols=[protocol]) as socket:
                await socket.send('{"type": "connection_init"}')
                assert json.loads(await socket.recv())["type"] == "connection_ack"

    async def test_its_page_is_open_since_the_key_is_typed_into_it(self) -> None:
        async with serving(api_key="s3cret") as service:
            page = await service.client.get("/graphql", headers={"accept": "text/html"})
            assert page.headers["content-type"].startswith("text/html")
            assert (await service.client.get("/graphql/ide/../metrics")).status_code in (401, 404)
            problem(await service.client.get("/graphql/ide/..%2f..%2fmetrics"), 404, "no_such_route")

    @pytest.mark.parametrize(
        ("name", "most", "query"),
        [
            ("tokens", 30, "{ " + "ledgers " * 40 + "}"),
            ("depth", 3, '{ why(ref: "a") { path { entry { id } } } }'),
            ("aliases", 1, "{ a: ledgers b: ledgers }"),
            ("cost", 20, "{ entries(first: 50) { nodes { id kind } } }"),
            ("page", 2, "{ entries(first: 3) { nodes { id } } }"),
        ],
    )
    async def test_its_limits_are_settings(self, name: str, most: int, query: str) -> None:
        async with serving() as usual, serving(**{f"graphql_{name}_max": most}) as strict:
            for service in (usual, strict):
                await service.write(record("a"))
            assert "errors" not in (await usual.client.post("/graphql", json={"query": query})).json()
            (error,) = (await strict.client.post("/graphql", json={"query": query})).json()["errors"]
            assert error["extensions"]["code"] == "too_large"

    def test_their_defaults_are_those_of_the_schema(self) -> None:
        assert _limits(Settings()) == DEFAULTS

    async def test_who_watches_is_sent_on_when_the_service_ends(self) -> None:
        async with serving() as service:
            await service.write(record("a"))
            query = {"query": "subscription { changes { revision } }"}
            headers = {"accept": "text/event-stream"}
            async with service.client.stream("POST", "/graphql", json=query, headers=headers) as events:
                lines = events.aiter_lines()
                while not service.ledgers.opened[0].feed._watchers:
                    await asyncio.sleep(0.01)
                service.ledgers.end_watching()
                told = "".join([line async for line in lines])
            assert "resume after main@1." in told


async def test_on_sqlite_another_process_is_heard_at_once(tmp_path: Path) -> None:
    """Two services on one file: what one acknowledged, the next check of the other knows (law 9)."""
    path = tmp_path / "ledger.db"
    async with serving(SqliteStore(str(path))) as one, serving(SqliteStore(str(path))) as other:
        await one.write(record("a"))
        for _ in range(5):
            assert (await other.check("a")).json()["verdicts"][0]["state"] == "fresh"
            await one.write({"op": "revoke", "target": "a"})
            assert (await other.check("a")).json()["verdicts"][0]["reason"] == "revoked"
            revision = lines(await other.write({"op": "reinstate", "target": "a"}))[0]["revision"]
            assert (await one.check("a", at_least=revision, full=True)).json()["revision"] == revision
