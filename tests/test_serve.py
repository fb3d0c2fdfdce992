"""`ledger serve` as a process: how it starts, what it waits for, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import websockets.sync.client
from websockets.typing import Subprotocol

from ledger import Ledger
from tests.serving import JSON, LINES, WITHIN_S, eventually, process
from tests.terminal import Terminal, documents

RECORD = {"op": "record", "kind": "belief", "key": "a", "content": 1}


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_serves_until_told_to_end(terminal: Terminal) -> None:
    terminal.ok("import", "-", given=documents(3))
    with process(terminal.folder) as started:
        url = started.ready()
        assert url.startswith("http://127.0.0.1:")
        answer = httpx.post(f"{url}/v1/ledgers/main/freshness", json={"refs": ["doc/1", "doc/9"]})
        assert [verdict["state"] for verdict in answer.json()["verdicts"]] == ["fresh", "unknown"]
        assert httpx.post(f"{url}/v1/ledgers/main/commands", json=RECORD).json()["entry"] == "@4"
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
        assert terminal.head[0] == 4  # what is acknowledged is there for others
        assert started.end(signal.SIGTERM) == 0
        requests = [json.loads(line) for line in started.errors.read_bytes().splitlines()]
        assert [line["route"].rpartition("/")[2] for line in requests] == ["freshness", "commands"]
    terminal.ok("audit")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_well_when_it_is_idle(terminal: Terminal, number: int) -> None:
    with process(terminal.folder) as started:
        started.ready()
        began_s = time.monotonic()
        assert started.end(number) == 0
        assert time.monotonic() - began_s < 5
        assert started.errors.read_text() == ""


def test_the_second_signal_ends_it_at_once(terminal: Terminal) -> None:
    with process(terminal.folder) as started:
        host, _, port = started.ready().removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(
                b"POST /v1/ledgers/main/commands HTTP/1.1\r\nhost: localhost\r\n"
                b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{"
            )
            time.sleep(0.3)  # so that it has read what there is
            started.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                started.process.wait(timeout=1)  # it waits for the one whose request is under way
            assert started.end(signal.SIGTERM) == 130
    assert "(interrupted)" in started.errors.read_text()


def test_sigterm_in_mid_load_loses_nothing(terminal: Terminal) -> None:
    """What was taken is answered, and nothing is recorded that was not acknowledged."""
    with process(terminal.folder) as started:
        url = started.ready()
        acknowledged, unanswered = asyncio.run(_load(url, lambda: started.process.send_signal(signal.SIGTERM)))
        assert started.process.wait(timeout=WITHIN_S) == 0
    assert len(acknowledged) > 100
    with Ledger.open(terminal.store) as ledger:
        entries = ledger.entries(limit=1_000_000)
        assert {entry.id: entry.ref for entry in entries} == acknowledged
        assert not {entry.ref for entry in entries} & unanswered
        assert ledger.audit().ok


def test_a_write_that_is_cut_off_is_told_so(terminal: Terminal) -> None:
    """It gets a code and may be sent again: it was recorded when the store took it after all, and only once."""
    terminal.ok("import", "-", given=documents(1))
    command = RECORD | {"idempotency_key": "k"}
    mutation = {"query": 'mutation { record(input: {kind: dependency, content: 1, key: "b"}) { __typename } }'}
    with process(terminal.folder, LEDGER_DRAIN_S="0.5", LEDGER_BUSY_TIMEOUT_S="60") as started:
        url = started.ready()
        with contextlib.closing(sqlite3.connect(terminal.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor() as pool:
                asked = {f"{url}/v1/ledgers/main/commands": command, f"{url}/graphql": mutation}
                writing = [pool.submit(httpx.post, to, json=body, timeout=WITHIN_S) for to, body in asked.items()]
                time.sleep(0.5)  # so that they wait for the lock
                started.process.send_signal(signal.SIGTERM)
                answers = [one.result() for one in writing]
            for answer in answers:
                told = answer.json()
                assert (answer.status_code, told["code"], told["retry"]) == (503, "stopping", True)
                assert answer.headers["retry-after"] == "1"
                assert answer.headers["x-request-id"]
            other.execute("ROLLBACK")
        assert started.process.wait(timeout=WITHIN_S) == 0
        assert "Traceback" not in started.errors.read_text()
    assert terminal.head[0] == 3, "the commit under way was not awaited"
    with process(terminal.folder) as again:
        answer = httpx.post(f"{again.ready()}/v1/ledgers/main/commands", json=command)
        assert answer.json()["replayed"] is True


async def _load(url: str, end: Callable[[], object]) -> tuple[dict[str, str], set[str]]:
    """Sixteen writers until the service is gone: entry and reference of each acknowledgement, and what got none."""
    acknowledged: dict[str, str] = {}
    unanswered: set[str] = set()

    async def write(writer: int, client: httpx.AsyncClient) -> None:
        for number in range(10_000):
            key = f"w{writer}/{number}"
            try:
                answer = await client.post("/v1/ledgers/main/commands", json=RECORD | {"key": key})
            except httpx.TransportError:
                unanswered.add(f"{key}@1")
                return
            assert answer.status_code == 200, answer.text
            acknowledged[answer.json()["entry"]] = answer.json()["ref"]

    async with httpx.AsyncClient(base_url=url, timeout=WITHIN_S) as client, asyncio.TaskGroup() as group:
        for writer in range(16):
            group.create_task(write(writer, client))
        await asyncio.sleep(1.5)
        end()
    return acknowledged, unanswered


def test_who_watches_does_not_keep_it_from_ending(terminal: Terminal) -> None:
    terminal.ok("import", "-", given=documents(1))
    with process(terminal.folder) as started:
        url = started.ready()
        query = {"query": "subscription { changes { revision } }"}
        headers = {"accept": "text/event-stream"}
        with httpx.stream("POST", f"{url}/graphql", json=query, headers=headers, timeout=WITHIN_S) as events:
            lines = events.iter_lines()
            next(lines)  # it watches
            began_s = time.monotonic()
            assert started.end(signal.SIGTERM) == 0
            assert time.monotonic() - began_s < 5
            assert "resume after main@1." in "".join(lines)


def test_waits_for_its_store(terminal: Terminal) -> None:
    with process(terminal.folder, "--store", "bolt://user:hidden@127.0.0.1:1") as started:
        port = _port_of(started.process.pid)
        url = f"http://127.0.0.1:{port}"
        answer = httpx.get(f"{url}/readyz")
        assert answer.status_code == 503
        assert answer.json()["waits_for"].startswith("the store")
        refused = httpx.post(f"{url}/v1/ledgers/main/freshness", json={"refs": []})
        assert (refused.status_code, refused.json()["code"]) == (503, "starting")
        assert started.end(signal.SIGTERM) == 0
        assert "hidden" not in started.errors.read_text()


def test_says_once_that_it_waits_and_once_that_it_is_over(terminal: Terminal) -> None:
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(contextlib.closing(sqlite3.connect(terminal.file, isolation_level=None)))
        other.execute("BEGIN EXCLUSIVE")
        started = stack.enter_context(process(terminal.folder, LEDGER_BUSY_TIMEOUT_S="0.1"))
        url = f"http://127.0.0.1:{_port_of(started.process.pid)}"
        eventually(lambda: "waiting" in started.errors.read_text())
        time.sleep(5)  # several tries, and not less often the longer it lasts
        assert httpx.post(f"{url}/v1/ledgers/main/freshness", json={"refs": []}).status_code == 503
        other.execute("ROLLBACK")
        back_s = time.monotonic()
        started.ready()
        assert time.monotonic() - back_s < 2.5
        assert started.end(signal.SIGTERM) == 0
        waiting, request, waited = (json.loads(line) for line in started.errors.read_bytes().splitlines())
    assert (waiting["event"], waiting["level"], waiting["code"]) == ("waiting", "warning", "locked")
    assert waiting["waits_for"].startswith("the store")
    assert (request["event"], request["level"], request["status"]) == ("request", "info", 503)
    assert (waited["event"], waited["seconds"] > 1) == ("waited", True)


def _port_of(pid: int) -> int:
    """Where a process listens that is not ready yet, and so has not said it."""
    deadline_s = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline_s:
        inodes = set()
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(os.readlink(link))
            except FileNotFoundError:
                continue
        for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                return int(fields[1].rpartition(":")[2], 16)
        time.sleep(0.05)
    raise AssertionError("it does not listen")


def test_what_is_wrong_for_good_ends_it(terminal: Terminal) -> None:
    code, _, err = terminal.process("serve", "--port", "0", "--store", "sqlite:////nowhere/ledger.db")
    assert (code, err.count("\n")) == (2, 1)
    assert "(no_such_database)" in err
    sqlite3.connect(terminal.file).executescript("CREATE TABLE other (x)")
    code, _, err = terminal.process("serve", "--port", "0")
    assert code == 2
    assert "a SQLite file of something else" in err


def test_a_port_that_is_taken(terminal: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, out, err = terminal.process("serve", "--port", str(taken.getsockname()[1]))
    assert (code, out) == (2, "")
    assert "(cannot_listen)" in err
    assert "--port" in err


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_listening_for_others_needs_a_key(terminal: Terminal, host: str) -> None:
    code, out, err = terminal.process("serve", "--port", "0", "--host", host)
    assert (code, out) == (2, "")
    assert "LEDGER_API_KEY" in err


def test_the_key_is_read_from_its_file(terminal: Terminal) -> None:
    (terminal.folder / "key").write_text("s3cret\n")
    settings = {"LEDGER_API_KEY_FILE": str(terminal.folder / "key"), "LEDGER_HOST": "0.0.0.0"}
    with process(terminal.folder, **settings) as started:
        port = started.ready().rpartition(":")[2]
        url = f"http://127.0.0.1:{port}/v1/ledgers/main/commands"
        assert httpx.post(url, json=RECORD).status_code == 401
        assert httpx.post(url, json=RECORD, headers={"authorization": "Bearer s3cret"}).status_code == 200
        assert started.end(signal.SIGTERM) == 0
        assert "s3cret" not in started.errors.read_text()


def test_two_processes_and_an_import_at_once_on_one_file(terminal: Terminal) -> None:
    with process(terminal.folder) as one, process(terminal.folder) as other:
        urls = [one.ready(), other.ready()]
        with terminal.start("import", "-", stdin=subprocess.PIPE) as importing:
            assert importing.stdin is not None
            importing.stdin.write(documents(2_000, "imported").encode())
            importing.stdin.close()
            for number in range(100):
                body = json.dumps(RECORD | {"key": f"served/{number}"})
                answer = httpx.post(f"{urls[number % 2]}/v1/ledgers/main/commands", content=body, headers=LINES)
                assert answer.status_code == 200, answer.text
                asked = {"refs": [f"served/{number}"]}
                told = httpx.post(f"{urls[1 - number % 2]}/v1/ledgers/main/freshness", json=asked, headers=JSON).json()
                assert told["verdicts"][0]["state"] == "fresh"
            assert importing.wait(timeout=WITHIN_S) == 0
        assert (one.end(signal.SIGTERM), other.end(signal.SIGTERM)) == (0, 0)
    assert terminal.head[0] == 2_100
    terminal.ok("audit")


HEAD = b"POST /v1/ledgers/main/freshness HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = b'{"refs":["a"]}'
WHOLE = HEAD + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
HEADER_TIMEOUT_S = 1.0
TRANSPORT = Subprotocol("graphql-transport-ws")


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """Where a service listens that does not wait long for the head of a request."""
    terminal = Terminal(tmp_path_factory.mktemp("hurried"))
    terminal.ok("import", "-", given=documents(1))
    with process(terminal.folder, LEDGER_HEADER_TIMEOUT_S=str(HEADER_TIMEOUT_S)) as started:
        host, _, port = started.ready().removeprefix("http://").rpartition(":")
        yield host, int(port)
        assert started.end(signal.SIGTERM) == 0
        assert "error" not in started.errors.read_text()


def assert_answered(client: socket.socket) -> None:
    came = b""
    while not came.endswith(b"]}"):
        piece = client.recv(65_536)
        assert piece, came
        came += piece
    assert came.startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("before", [b"", WHOLE], ids=["the first request", "the second"])
@pytest.mark.parametrize("drops", [[b"\r\n"], [HEAD], [HEAD[n : n + 1] for n in range(len(HEAD))]])
def test_half_a_head_is_not_waited_for(hurried: tuple[str, int], before: bytes, drops: list[bytes]) -> None:
    with socket.create_connection(hurried, timeout=WITHIN_S) as client:
        if before:
            client.sendall(before)
            assert_answered(client)
        began_s = time.monotonic()
        with contextlib.suppress(ConnectionError):
            for drop in drops:
                client.sendall(drop)
                time.sleep(0.05 if len(drops) > 1 else 0)
            assert client.recv(1) == b""
        assert HEADER_TIMEOUT_S / 2 < time.monotonic() - began_s < len(drops) * 0.05 + 5


def test_nothing_at_all_is_not_waited_for(hurried: tuple[str, int]) -> None:
    with socket.create_connection(hurried, timeout=WITHIN_S) as client:
        assert client.recv(1) == b""


def test_what_has_a_head_may_take_longer(hurried: tuple[str, int]) -> None:
    """A slow body, an idle connection between two requests, and a websocket on which nothing happens."""
    host, port = hurried
    with (
        websockets.sync.client.connect(f"ws://{host}:{port}/graphql", subprotocols=[TRANSPORT]) as watching,
        socket.create_connection(hurried, timeout=WITHIN_S) as client,
    ):
        watching.send('{"type":"connection_init"}')
        assert "connection_ack" in str(watching.recv(WITHIN_S))
        client.sendall(WHOLE[:-1])
        time.sleep(1.5 * HEADER_TIMEOUT_S)
        client.sendall(WHOLE[-1:])
        assert_answered(client)
        time.sleep(1.5 * HEADER_TIMEOUT_S)
        client.sendall(WHOLE)
        assert_answered(client)
        watching.send('{"type":"ping"}')
        assert "pong" in str(watching.recv(WITHIN_S))
