"""No web page drives the service, nobody without the key does, and nobody sends more than it takes."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from ledger.api.security import Security
from ledger.errors import HostNotAllowed, LedgerError, OriginNotAllowed, Unauthorized
from ledger.settings import Settings
from tests.serving import JSON, LINES, Service, SlowStore, serving
from tests.test_http import problem, record

KEY = "s3cret-key"
AUTHORIZED = {"authorization": f"Bearer {KEY}"}
CHECK = b'{"refs":["a"]}'
PATH = "/v1/ledgers/main/freshness"


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving() as running:
        await running.write(record("a"))
        yield running


async def check(service: Service, **headers: str) -> httpx.Response:
    return await service.client.post(
        PATH, content=CHECK, headers=JSON | {k.replace("_", "-"): v for k, v in headers.items()}
    )


def _narrow(service: Service, kept_bytes: int = 4_096) -> socket.socket:
    """A connection of which neither end keeps much for the other."""
    service.server.servers[0].sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, kept_bytes)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept_bytes)
    client.connect(("127.0.0.1", service.port))
    client.setblocking(False)
    return client


class TestHost:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost:99", "LOCALHOST", "[::1]:8321", "[::1]"])
    async def test_of_this_machine_is_answered(self, service: Service, host: str) -> None:
        assert (await check(service, host=host)).status_code == 200

    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "[::2]", "", "evil.example:127.0.0.1"]
    )
    async def test_of_another_name_is_not(self, service: Service, host: str) -> None:
        problem(await check(service, host=host), 421, "host_not_allowed")
        problem(await service.client.get("/metrics", headers={"host": host}), 421, "host_not_allowed")

    async def test_none_at_all_is_not(self, service: Service) -> None:
        answer = await service.raw(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 421 ")

    async def test_names_can_be_added(self) -> None:
        async with serving(allowed_hosts="ledger.example") as service:
            await service.write(record("a"))
            assert (await check(service, host="Ledger.example:443")).status_code == 200
            problem(await check(service, host="other.example"), 421, "host_not_allowed")

    async def test_any_name_can_be_allowed(self) -> None:
        async with serving(allowed_hosts="*") as service:
            await service.write(record("a"))
            assert (await check(service, host="other.example")).status_code == 200

    async def test_probes_know_no_name(self, service: Service) -> None:
        for path in ("/healthz", "/readyz"):
            assert (await service.client.get(path, headers={"host": "10.0.0.7:8321"})).status_code == 200


class TestOrigin:
    async def test_of_its_own_pages_is_answered(self, service: Service) -> None:
        host = f"127.0.0.1:{service.port}"
        assert (await check(service, host=host, origin=f"http://{host}")).status_code == 200
        assert (await check(service, host=host, origin=f"https://{host}")).status_code == 200  # behind TLS

    @pytest.mark.parametrize("origin", ["https://evil.example", "null", "", "http://127.0.0.1:1", "file://"])
    async def test_of_other_pages_is_not(self, service: Service, origin: str) -> None:
        problem(await check(service, origin=origin), 403, "origin_not_allowed")
        problem(await service.client.get("/metrics", headers={"origin": origin}), 403, "origin_not_allowed")

    @pytest.mark.parametrize("path", ["/v1/ledgers/main/audit", "/metrics", "/graphql?query={ledgers}", "/nowhere"])
    async def test_of_other_pages_that_do_not_tell_theirs_is_not(self, service: Service, path: str) -> None:
        """What an image or `fetch(…, {mode: "no-cors"})` sends: a page that works us without seeing an answer."""
        for site in ("cross-site", "same-site", ""):
            answer = await service.client.get(path, headers={"sec-fetch-site": site})
            problem(answer, 403, "origin_not_allowed")
        for site in ("same-origin", "none"):
            assert (await service.client.get(path, headers={"sec-fetch-site": site})).status_code in (200, 404)

    async def test_the_page_may_be_linked_to(self, service: Service) -> None:
        headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "accept": "text/html"}
        assert (await service.client.get("/graphql", headers=headers)).status_code == 200

    @pytest.mark.parametrize("origin", ["https://evil.example", "null"])
    @pytest.mark.parametrize("host", ["", "host:\r\n"])
    async def test_of_other_pages_is_not_where_any_host_is_and_none_is_told(self, host: str, origin: str) -> None:
        async with serving(allowed_hosts="*") as service:
            answer = await service.raw(f"GET /metrics HTTP/1.0\r\n{host}origin: {origin}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.1 403 ")
            assert (await service.raw(f"GET /metrics HTTP/1.0\r\n{host}\r\n".encode())).startswith(b"HTTP/1.1 200 ")

    async def test_pages_can_be_allowed(self) -> None:
        async with serving(allowed_origins="https://desk.example") as service:
            await service.write(record("a"))
            answer = await check(service, origin="https://desk.example", sec_fetch_site="cross-site")
            assert answer.status_code == 200
            assert answer.headers["access-control-allow-origin"] == "https://desk.example"
            problem(await check(service, origin="https://evil.example"), 403, "origin_not_allowed")
            asked = {
                "origin": "https://desk.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type",
            }
            assert (await service.client.options(PATH, headers=asked)).status_code == 200
            refused = await service.client.options(PATH, headers=asked | {"origin": "https://evil.example"})
            assert refused.status_code == 400
            assert "access-control-allow-origin" not in refused.headers

    async def test_no_page_is_told_that_it_may_ask(self, service: Service) -> None:
        asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        answer = await service.client.options(PATH, headers=asked)
        problem(answer, 403, "origin_not_allowed")
        assert not [name for name in answer.headers if name.startswith("access-control")]


class TestKey:
    @pytest.fixture
    async def closed(self) -> AsyncIterator[Service]:
        async with serving(api_key=KEY) as running:
            running.client.headers["authorization"] = f"Bearer {KEY}"
            await running.write(record("a"))
            del running.client.headers["authorization"]
            yield running

    @pytest.mark.parametrize(
        "given",
        ["", "Bearer", "Bearer s3cret-ke", f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer s3cret-keÿ"],
    )
    async def test_another_is_refused(self, closed: Service, given: str) -> None:
        headers = JSON | {"authorization": given}
        answer = await closed.client.post(
            PATH, content=CHECK, headers={k: v.encode("latin-1") for k, v in headers.items()}
        )
        problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Bearer"

    async def test_none_is_refused_for_everything_but_probes(self, closed: Service) -> None:
        problem(await check(closed), 401, "unauthorized")
        problem(await closed.write(record("b")), 401, "unauthorized")
        for path in ("/metrics", "/openapi.json", "/nowhere"):
            problem(await closed.client.get(path), 401, "unauthorized")
        for path in ("/healthz", "/readyz"):
            assert (await closed.client.get(path)).status_code == 200

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
    async def test_the_right_one_opens(self, closed: Service, scheme: str) -> None:
        assert (await check(closed, authorization=f"{scheme} {KEY}")).status_code == 200
        assert (await closed.client.get("/metrics", headers={"authorization": f"{scheme} {KEY}"})).status_code == 200


class TestWebsockets:
    """Judged before anything is accepted, by the same rules."""

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            (AUTHORIZED | {"host": "evil.example"}, HostNotAllowed),
            (
                {"host": "localhost", "origin": "https://evil.example", "authorization": f"Bearer {KEY}"},
                OriginNotAllowed,
            ),
            ({"host": "localhost"}, Unauthorized),
            (AUTHORIZED | {"host": "localhost", "origin": "http://localhost"}, None),
        ],
    )
    async def test_are_admitted(self, headers: dict[str, str], expected: type[LedgerError] | None) -> None:
        came: list[str] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            came.append(scope["path"])

        async def unused(message: Message | None = None) -> Any:
            raise AssertionError("nothing is read or sent")

        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "websocket", "path": "/graphql", "headers": encoded}
        security = Security(app, Settings.read(api_key=KEY))
        if expected is None:
            await security(scope, unused, unused)
            assert came == ["/graphql"]
        else:
            with pytest.raises(expected):
                await security(scope, unused, unused)
            assert not came


class TestContentType:
    @pytest.mark.parametrize(
        "given", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
    )
    async def test_of_what_any_page_can_send_is_refused(self, service: Service, given: str) -> None:
        problem(await check(service, content_type=given), 415, "unsupported_media_type")
        assert (await (await service.ledgers.get("main")).status()).head == 1

    async def test_none_at_all_is_refused(self, service: Service) -> None:
        answer = await service.client.post(PATH, content=CHECK)
        problem(answer, 415, "unsupported_media_type")

    @pytest.mark.parametrize("given", ["application/json; charset=utf-8", "Application/JSON", "application/x-ndjson"])
    async def test_of_json_is_taken(self, service: Service, given: str) -> None:
        assert (await check(service, content_type=given)).status_code == 200


class TestLimits:
    async def test_a_body_told_to_be_too_large_is_not_read(self) -> None:
        async with serving(body_bytes_max=10_000) as service:
            head = b"POST /v1/ledgers/main/commands HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            answer = await service.raw(head + b"content-length: 10001\r\n\r\n")  # and nothing of it
            assert answer.startswith(b"HTTP/1.1 413 ")
            told = json.loads(answer.partition(b"\r\n\r\n")[2])
            assert (told["code"], told["limit"]) == ("too_large", 10_000)

    async def test_a_body_of_unknown_length_is_counted(self) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(50):
                yield b" " * 1_000

        async with serving(body_bytes_max=10_000) as service:
            answer = await service.client.post("/v1/ledgers/main/commands", content=chunks(), headers=JSON)
            problem(answer, 413, "too_large")
            assert await service.ledgers.names() == []

    async def test_a_body_of_unknown_length_is_taken_up_to_the_limit(self, service: Service) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield CHECK[:5]
            yield CHECK[5:]

        answer = await service.client.post(PATH, content=chunks(), headers=JSON)
        assert answer.json()["verdicts"][0]["state"] == "fresh"

    async def test_references(self, service: Service) -> None:
        assert len((await service.check(*["a"] * 10_000)).json()["verdicts"]) == 10_000
        began_s = time.monotonic()
        told = problem(await service.check(*(f"invented/{n}" for n in range(100_000))), 413, "too_large")
        assert (told["field"], told["limit"]) == ("refs", 10_000)
        assert time.monotonic() - began_s < 5
        assert (await service.check("a")).status_code == 200

    @pytest.mark.parametrize("atomic", ["true", "false"])
    async def test_commands(self, atomic: str) -> None:
        async with serving(commands_max=10) as service:
            told = problem(await service.write(*(record(f"n/{n}") for n in range(11)), atomic=atomic), 413, "too_large")
            assert told["limit"] == 10
            batch = {"op": "batch", "commands": [record(f"n/{n}") for n in range(10)]}
            problem(await service.write(record("a"), batch, atomic=atomic), 413, "too_large")
            assert await service.ledgers.names() == []
            assert (await service.write(*(record(f"n/{n}") for n in range(10)), atomic=atomic)).status_code == 200

    async def test_lines_without_anything_on_them(self, service: Service) -> None:
        answer = await service.client.post("/v1/ledgers/main/commands", content=b"\n" * 5_000_000, headers=LINES)
        problem(answer, 413, "too_large")

    async def test_the_time_of_a_request(self) -> None:
        store = SlowStore()
        async with serving(store, request_timeout_s=0.2) as service:
            command = record("a", idempotency_key="once")
            answer = await service.write(command)
            assert problem(answer, 504, "timed_out")["retry"] is True
            store.go.set()
            again = await service.write(command)
            assert (again.status_code, again.json()["entry"]) == (200, "@1")  # it was recorded, once
            assert (await (await service.ledgers.get("main")).status()).head == 1

    async def test_half_a_body(self) -> None:
        async with serving(request_timeout_s=0.3) as service:
            head = b"POST /v1/ledgers/main/commands HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            half = head + b'content-length: 100\r\n\r\n{"op":"record"'
            assert (await service.raw(half)).startswith(b"HTTP/1.1 504 ")
            assert await service.ledgers.names() == []

    async def test_who_goes_away_leaves_nothing(self, service: Service) -> None:
        head = b"POST /v1/ledgers/main/commands HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        for sent in (head + b'content-length: 100\r\n\r\n{"op":"record"', head, b"POST /v1/led"):
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(sent)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(10):
            while not [line for line in service.logged if line["status"] == 499]:
                await asyncio.sleep(0.01)
        assert {line["level"] for line in service.logged} == {"info"}
        assert (await service.check("a")).status_code == 200

    async def test_who_goes_away_while_it_is_recorded_undoes_nothing(self) -> None:
        store = SlowStore()
        async with serving(store) as service:
            body = json.dumps(record("a")).encode()
            head = b"POST /v1/ledgers/main/commands HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            _, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            await store.asked.wait()
            writer.close()
            await writer.wait_closed()
            store.go.set()
            async with asyncio.timeout(10):
                while (await service.check("a")).status_code != 200:
                    await asyncio.sleep(0.01)
            assert (await service.check("a")).json()["verdicts"][0]["state"] == "fresh"

    @pytest.mark.parametrize(
        "request_line",
        [
            b"GET /v1/ledgers/main/entries?limit=1000 HTTP/1.1",
            b"GET /v1/ledgers/main/entries?limit=1000 HTTP/1.0",  # closed after its answer: that waits for the buffer
            b"GET /v1/ledgers/main/export HTTP/1.1",
            b"GET /v1/ledgers/main/entries?limit=10 HTTP/1.0",  # too little to fill the buffer
        ],
    )
    async def test_who_takes_no_answer_is_dropped(self, request_line: bytes) -> None:
        async with serving(send_s=0.4) as service:
            await service.write(*(record(f"big/{n}", str(n) * 2_000) for n in range(1_000)))
            with _narrow(service) as client:
                client.sendall(request_line + b"\r\nhost: localhost\r\n\r\n")
                connections = service.server.server_state.connections
                async with asyncio.timeout(10):
                    while service.logged[-1]["route"] == "/v1/ledgers/{ledger}/commands":
                        await asyncio.sleep(0.01)
                    while client.getsockname() in [connection.client for connection in connections]:
                        await asyncio.sleep(0.01)
            assert (await service.check("big/1")).status_code == 200

    async def test_who_takes_it_slowly_is_seen_to_take_it(self) -> None:
        """Also where the system would take megabytes for him: of what lies there nobody sees how it goes."""
        async with serving(send_s=0.2) as service:
            for number in range(14):
                await service.write(record(f"big/{number}", str(number) * 400_000))
            client = socket.create_connection(("127.0.0.1", service.port))
            client.setblocking(False)
            with client:
                client.sendall(b"GET /v1/ledgers/main/export HTTP/1.0\r\nhost: localhost\r\n\r\n")
                came = 0
                while piece := await asyncio.get_running_loop().sock_recv(client, 128 << 10):
                    came += len(piece)
                    await asyncio.sleep(0.03)
            assert came > 14 * 400_000

    async def test_who_is_gone_is_not_said_to_take_nothing(self, caplog: pytest.LogCaptureFixture) -> None:
        """He broke the connection off between two requests: uvicorn's timer for that rings all the same."""
        async with serving(send_s=0.1) as service:
            service.server.config.timeout_keep_alive = 1
            client = socket.create_connection(("127.0.0.1", service.port))
            client.setblocking(False)
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert await asyncio.get_running_loop().sock_recv(client, 1_000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
            await asyncio.sleep(1.4)
        assert "did not take" not in caplog.text

    async def test_who_takes_it_slowly_gets_it_whole(self) -> None:
        async with serving(send_s=0.4) as service:
            await service.write(*(record(f"big/{n}", str(n) * 3_000) for n in range(200)))
            whole = (await service.client.get("/v1/ledgers/main/entries?limit=200")).content
            with _narrow(service, 32 << 10) as client:
                client.sendall(b"GET /v1/ledgers/main/entries?limit=200 HTTP/1.0\r\nhost: localhost\r\n\r\n")
                came, began_s = b"", time.monotonic()
                while piece := await asyncio.get_running_loop().sock_recv(client, 64 << 10):
                    came += piece
                    await asyncio.sleep(0.05)
            assert time.monotonic() - began_s > 0.8, "that was not slow"
            assert came.endswith(whole)

    @pytest.mark.parametrize(
        "request_bytes",
        [
            b"nonsense\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"POST " + PATH.encode() + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n",
            b"POST " + PATH.encode() + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: -1\r\n\r\n",
            b"POST "
            + PATH.encode()
            + b" HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n"
            b"content-type: application/json\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            b"POST /v1/ledgers/%00/freshness HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n"
            b"content-type: application/json\r\n\r\n{}",
            b"POST /v1/ledgers/%ff%fe/freshness HTTP/1.1\r\nhost: localhost\r\ncontent-length: 11\r\n"
            b'content-type: application/json\r\n\r\n{"refs":[]}',
        ],
    )
    async def test_what_is_hardly_http(self, service: Service, request_bytes: bytes) -> None:
        try:
            answer = await service.raw(request_bytes)
        except asyncio.IncompleteReadError:
            pass  # closed without an answer is one
        else:
            assert answer.startswith(b"HTTP/1.1 4"), answer
        assert (await service.check("a")).status_code == 200
        assert not [line for line in service.logged if line["level"] == "error"]
