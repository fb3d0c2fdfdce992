"""GraphQL on the wire: HTTP, server-sent events, WebSockets, and the page; against a real server on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import gql
import httpx
import pytest
import websockets
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

from ledger.api.schema import Limits
from ledger.api.schema.serving import NOT_BUILT
from ledger.app import open_ledgers
from ledger.service.ledgers import Ledgers
from tests.graphql_client import served

CHANGES = """subscription ($after: String) {
  changes(after: $after) { revision recorded { first { ref } } fell { count } }
}"""
CONTENTS = """subscription ($ledger: String! = "main") {
  changes(ledger: $ledger) { revision recorded { first { entry { ... on RecordEntry { content } } } } }
}"""
REVOKE = 'mutation { revoke(input: {target: "ground"}) { __typename } }'
EVENTS = {"accept": "text/event-stream"}


@pytest.fixture
async def ledgers() -> AsyncIterator[Ledgers]:
    async with open_ledgers("memory:") as opened:
        await record(opened, "ground")
        yield opened


@pytest.fixture
async def place(ledgers: Ledgers) -> AsyncIterator[str]:
    async with served(ledgers) as where:
        yield where


@pytest.fixture
async def http(place: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{place}") as client:
        yield client


async def record(ledgers: Ledgers, key: str, content: Any = 1, **more: Any) -> None:
    service = await ledgers.get("main", create=True)
    await service.apply({"op": "record", "kind": "belief", "key": key, "content": content, **more})


# --- HTTP -----------------------------------------------------------------------------------------------------


async def test_a_public_client(place: str) -> None:
    async with gql.Client(
        transport=HTTPXAsyncTransport(url=f"http://{place}/graphql"), fetch_schema_from_transport=True
    ) as client:
        assert client.client.schema is not None  # it has read ours
        operation = gql.gql('{ entry(ref: "ground") { id } }')
        assert await client.execute(operation) == {"entry": {"id": "@1"}}


async def test_a_query_may_come_in_the_address(http: httpx.AsyncClient) -> None:
    answer = await http.get(
        "/graphql", params={"query": "query ($r: ID!) { entry(ref: $r) { id } }", "variables": '{"r": "ground"}'}
    )
    assert answer.json() == {"data": {"entry": {"id": "@1"}}}
    answer = await http.get("/graphql", params={"query": REVOKE})
    assert (answer.status_code, told(answer)["code"]) == (400, "malformed")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "Batching"),
        (b"5", "object"),
        (b'"text"', "object"),
        (b"null", "object"),
        (b"{}", "query"),
        (b'{"query": 5}', "query"),
        (b'{"query": "{ ledgers }", "query": "{ ledgers }"}', "twice"),
        (b'{"query": "{ ledgers }", "variables": []}', "variables"),
        (b'{"query": "{ ledgers }", "variables": {"a": 9007199254740993}}', None),
        (b'{"query": "{ ledgers }", "operationName": "Other"}', "Other"),
        (b'{"query": "{ ledgers }", "operationName": 5}', "5"),
        (b'{"query": "\xff"}', "UTF-8"),
        (b"[" * 5_000 + b"]" * 5_000, None),
    ],
)
async def test_what_is_no_request_is_told_so(http: httpx.AsyncClient, body: bytes, says: str | None) -> None:
    answer = await http.post("/graphql", content=body, headers={"content-type": "application/json"})
    assert answer.status_code < 500
    if says is not None:
        assert answer.status_code == 400
        assert says in told(answer)["message"]
        assert told(answer)["code"] == "malformed"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
async def test_only_json_is_taken(http: httpx.AsyncClient, kind: str) -> None:
    """What a web page can send to another host without asking first is none of these."""
    body = json.dumps({"query": REVOKE})
    answer = await http.post("/graphql", content=body, headers={"content-type": kind})
    assert (answer.status_code, told(answer)["code"]) == (400, "malformed")
    fresh = await http.post("/graphql", json={"query": '{ freshness(refs: ["ground"]) { fresh } }'})
    assert fresh.json()["data"]["freshness"]["fresh"] == ["ground"]


async def test_errors_say_their_code(http: httpx.AsyncClient) -> None:
    answer = await http.post("/graphql", json={"query": '{ entry(ref: "x") { id } nothing }'})
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"malformed"}
    answer = await http.post("/graphql", json={"query": '{ entry(ref: "x") { id } }'})
    assert answer.json()["data"] == {"entry": None}
    assert told(answer) == {"message": "nothing is recorded under 'x'", "code": "not_found", "retry": False, "ref": "x"}


@pytest.mark.parametrize(
    ("query", "status", "keys"),
    [
        ("{ ledgers }", 200, ["data"]),
        ('{ entry(ref: "x") { id } }', 200, ["data", "errors"]),
        ("{ nothing }", 400, ["errors"]),
        ("{", 400, ["errors"]),
    ],
)
async def test_who_knows_its_media_type_is_told_by_the_status(
    http: httpx.AsyncClient, query: str, status: int, keys: list[str]
) -> None:
    """As "GraphQL over HTTP" has it; of plain JSON intermediaries say whether a status is GraphQL's."""
    for accept, code in (("application/graphql-response+json, application/json;q=0.9", status), ("*/*", 200)):
        answer = await http.post("/graphql", json={"query": query}, headers={"accept": accept})
        assert (answer.status_code, sorted(answer.json())) == (code, keys)
        assert answer.headers["content-type"] in accept or accept == "*/*"


def told(answer: httpx.Response) -> dict[str, Any]:
    (error,) = answer.json()["errors"]
    return {"message": error["message"], **error["extensions"]}


# --- the page -------------------------------------------------------------------------------------------------

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_page_needs_no_outside_host(http: httpx.AsyncClient) -> None:
    """`make ide` has built it; whatever it names is served here, and the browser is told to load nothing else."""
    page = await http.get("/graphql", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert not re.search(r"https?:|\*|unsafe-eval", page.headers["content-security-policy"])
    assert "unsafe" not in policy["script-src"]
    named = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [name for name in named if not name.startswith("data:")] == ["graphql/ide/ide.css", "graphql/ide/ide.js"]
    for name in named + [f"graphql/ide/{one}.worker.js" for one in ("editor", "json", "graphql")]:
        if not name.startswith("data:"):
            file = await http.get("/" + name)
            assert (file.status_code, len(file.content) > 10_000) == (200, True), name
            assert file.headers["content-security-policy"] == page.headers["content-security-policy"]
            if name.endswith(".css"):
                assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", file.text)


async def test_without_a_page_it_says_how_to_build_one(ledgers: Ledgers, tmp_path: Path) -> None:
    async with (
        served(ledgers, page=tmp_path / "nowhere") as place,
        httpx.AsyncClient(base_url=f"http://{place}") as http,
    ):
        page = await http.get("/graphql", headers=BROWSER)
        assert (page.status_code, page.text) == (200, NOT_BUILT)
        assert "make ide" in page.text
        assert (await http.get("/graphql/ide/ide.js")).status_code == 404


async def test_a_program_gets_no_page(http: httpx.AsyncClient) -> None:
    answer = await http.get("/graphql")
    assert (answer.status_code, told(answer)["code"]) == (400, "malformed")


@pytest.mark.parametrize("path", ["../../pyproject.toml", "..%2f..%2fpyproject.toml", "%2e%2e/main.jsx", "/etc/passwd"])
async def test_only_the_files_of_the_page_are_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/graphql/ide/{path}")).status_code == 404


# --- changes --------------------------------------------------------------------------------------------------


async def test_changes_over_a_websocket(ledgers: Ledgers, place: str) -> None:
    """A public client resumes after a revision without a gap, and hears what comes."""
    after = (await ledgers.get("main")).live.revision
    await record(ledgers, "a", because=[["ground"]])
    transport = WebsocketsTransport(url=f"ws://{place}/graphql", subprotocols=["graphql-transport-ws"])
    seen: list[Any] = []
    async with asyncio.timeout(10), gql.Client(transport=transport) as client:
        async for data in client.subscribe(gql.GraphQLRequest(CHANGES, variable_values={"after": after})):
            seen.append(data["changes"])
            if len(seen) == 1:
                await (await ledgers.get("main")).apply({"op": "revoke", "target": "ground"})
            elif len(seen) == 2:
                break
    assert seen[0]["recorded"]["first"] == [{"ref": "a@1"}]
    assert seen[1]["fell"] == {"count": 2}


async def test_changes_as_events(ledgers: Ledgers, http: httpx.AsyncClient) -> None:
    after = (await ledgers.get("main")).live.revision
    await record(ledgers, "a")
    body = {"query": CHANGES, "variables": {"after": after}}
    async with (
        asyncio.timeout(10),
        http.stream("POST", "/graphql", json=body, headers=EVENTS) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.aiter_lines()
        assert await anext(lines) == "event: next"
        data = json.loads((await anext(lines)).removeprefix("data: "))
        assert data["data"]["changes"]["recorded"]["first"] == [{"ref": "a@1"}]
    await until_nobody_watches(ledgers)


async def test_a_subscription_that_cannot_be_is_told(place: str, http: httpx.AsyncClient) -> None:
    for variables, code in (({"after": "main@9.00000000"}, "behind"), ({"after": "x"}, "malformed")):
        body = {"query": CHANGES, "variables": variables}
        answer = await http.post("/graphql", json=body, headers=EVENTS)
        assert f'"code":"{code}"' in answer.text
        assert answer.text.rstrip().endswith("event: complete\r\ndata:")
    body = {"query": 'subscription { changes(ledger: "nope") { revision } }'}
    answer = await http.post("/graphql", json=body, headers=EVENTS)
    assert '"code":"no_such_ledger"' in answer.text


async def test_a_reader_who_falls_behind_is_told_where_to_resume(
    ledgers: Ledgers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing was kept for him."""
    monkeypatch.setattr("ledger.service.feed.RING_CHANGES", 5)
    service = await ledgers.get("slow", create=True)
    await service.apply({"op": "record", "kind": "belief", "content": 0})
    async with served(ledgers) as place, websocket(place) as socket:
        payload = {"query": CONTENTS, "variables": {"ledger": "slow"}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        async with asyncio.timeout(20):
            while not service.feed._watchers:
                await asyncio.sleep(0.01)
            socket.transport.pause_reading()  # as a client that hangs
            for number in range(120):  # of 500 kB each: more than all the buffers between us hold
                await service.apply({"op": "record", "kind": "belief", "content": f"{number} {'x' * 500_000}"})
            socket.transport.resume_reading()
            revisions, error = [], None
            while error is None:
                message = json.loads(await socket.recv())
                assert message["type"] == "next"
                if message["payload"].get("errors"):
                    (error,) = message["payload"]["errors"]
                else:
                    revisions.append(message["payload"]["data"]["changes"]["revision"])
            assert json.loads(await socket.recv())["type"] == "complete"
    assert (error["extensions"]["code"], error["extensions"]["retry"]) == ("slow_reader", True)
    assert error["extensions"]["revision"] == revisions[-1]
    assert 0 < len(revisions) < 120
    assert [int(one.split("@")[1].split(".")[0]) for one in revisions] == list(range(2, 2 + len(revisions)))


@pytest.mark.parametrize("way", ["websocket", "events"])
async def test_a_client_who_takes_nothing_is_dropped(ledgers: Ledgers, way: str) -> None:
    service = await ledgers.get("main")
    async with served(ledgers, Limits(send_s_max=0.3)) as place, contextlib.AsyncExitStack() as stack:
        if way == "websocket":
            socket = await stack.enter_async_context(websocket(place))
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": CONTENTS}}))
            transport = socket.transport
        else:
            _, writer = await asyncio.open_connection(*place.split(":"), limit=1_000)
            stack.callback(writer.close)
            body = json.dumps({"query": CONTENTS})
            writer.write(
                f"POST /graphql HTTP/1.1\r\nhost: {place}\r\ncontent-type: application/json\r\n"
                f"accept: text/event-stream\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
            )
            transport = writer.transport
        async with asyncio.timeout(20):
            while not service.feed._watchers:
                await asyncio.sleep(0.01)
            transport.pause_reading()
            for number in range(60):
                await record(ledgers, f"big/{number}", f"{number} {'x' * 500_000}")
            await until_nobody_watches(ledgers)


async def test_operations_at_once_on_one_websocket_are_limited(ledgers: Ledgers) -> None:
    async with served(ledgers, Limits(streams_max=2)) as place, websocket(place) as socket:
        for number in range(3):
            await socket.send(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": CHANGES}}))
        message = json.loads(await asyncio.wait_for(socket.recv(), 10))
        assert (message["id"], message["type"]) == ("2", "error")


async def test_queries_over_a_websocket_each_see_what_is_there(ledgers: Ledgers, place: str) -> None:
    """The context of a connection lasts; what an operation loads does not."""
    text = '{ entry(ref: "ground") { ... on RecordEntry { verdict { state } } } }'
    async with websocket(place) as socket:
        states = []
        for number in range(2):
            await socket.send(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": text}}))
            states.append(json.loads(await socket.recv())["payload"]["data"]["entry"]["verdict"]["state"])
            await socket.recv()
            await (await ledgers.get("main")).apply({"op": "revoke", "target": "ground"})
    assert states == ["fresh", "stale"]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "5",
        "[]",
        "{}",
        '{"type":"connection_init","type":"ping"}',
        '{"type":"nonsense"}',
        '{"type":"connection_init","payload":5}',
        '{"type":"subscribe"}',
        '{"type":"subscribe","id":"1","payload":5}',
        '{"type":"subscribe","id":[],"payload":{}}',
        '{"type":"subscribe","id":"1","payload":{"query":"{"}}',
    ],
)
async def test_nonsense_on_a_websocket_ends_it_with_a_word(place: str, text: str) -> None:
    async with websocket(place) as socket:
        await socket.send(text)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4400
        assert closed.value.rcvd.reason


@pytest.mark.parametrize(
    "payload",
    [
        {"query": 5},
        {"query": "{ ledgers }", "variables": []},
        {"query": "{ ledgers }", "operationName": "Other"},
        {"query": "{ nothing }"},
        {"query": ""},
    ],
)
async def test_what_cannot_be_asked_over_a_websocket_is_told(place: str, payload: dict[str, Any]) -> None:
    async with websocket(place) as socket:
        await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
        try:
            message = json.loads(await asyncio.wait_for(socket.recv(), 10))
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd is not None
            assert (closed.rcvd.code, bool(closed.rcvd.reason)) == (4400, True)
        else:
            assert message["type"] == "error"
            assert {error["extensions"]["code"] for error in message["payload"]} == {"malformed"}


@pytest.mark.parametrize(
    ("origin", "allowed"), [(None, True), ("same", True), ("http://evil.example", False), ("http://ok.example", True)]
)
async def test_a_page_of_another_origin_opens_no_websocket(ledgers: Ledgers, origin: str | None, allowed: bool) -> None:
    async with served(ledgers, allowed_origins=["http://ok.example"]) as place:
        asked: Any = f"http://{place}" if origin == "same" else origin
        opening = websockets.connect(f"ws://{place}/graphql", subprotocols=["graphql-transport-ws"], origin=asked)  # type: ignore[list-item]
        if allowed:
            async with opening:
                return
        with pytest.raises(websockets.InvalidStatus):
            async with opening:
                pass


@contextlib.asynccontextmanager
async def websocket(place: str) -> AsyncIterator[Any]:
    """A connection that has been acknowledged."""
    protocols: Any = ["graphql-transport-ws"]
    async with websockets.connect(
        f"ws://{place}/graphql", subprotocols=protocols, compression=None, max_size=None, close_timeout=1
    ) as socket:
        await socket.send('{"type":"connection_init"}')
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        yield socket


async def until_nobody_watches(ledgers: Ledgers) -> None:
    service = await ledgers.get("main")
    async with asyncio.timeout(10):
        while service.feed._watchers:
            await asyncio.sleep(0.01)
