"""A client on a bad line: what it tries again, for how long, and what it says of what it cannot know."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ledger import Ledger, LedgerClient
from ledger.client.trouble import Passing, translated
from ledger.errors import (
    BadAddress,
    Behind,
    ForeignRevision,
    LedgerError,
    Malformed,
    ServiceError,
    Unauthorized,
    Unavailable,
    error_told,
)
from ledger.guard import Guard
from ledger.store.memory import MemoryStore
from ledger.testing.line import Line
from tests.clients import client_of
from tests.middleman import Middleman, middleman
from tests.serving import Service, hosted

SOON_S = 1.0
SLACK_S = 2.5


# --- what is tried again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 3])
def test_a_lost_acknowledgement_records_nothing_twice(man: Middleman, client: Any, lost: int) -> None:
    """The service recorded it and the answer never came: the same key again, and it is answered as `replayed`."""
    client.record("belief", 0, key="before")
    man.answers_to_drop = lost
    result = client.record("belief", 1, key="a")
    assert (result.outcome, result.replayed, result.entry) == ("recorded", True, "@2")
    assert len(man.requests) == 2 + lost
    man.answers_to_drop = lost
    batch = client.apply(
        [{"op": "record", "kind": "belief", "content": 2, "key": "b"}, {"op": "revoke", "target": "a"}]
    )
    assert (batch.replayed, [one.entry for one in batch.results]) == (True, ["@3", "@4"])
    assert [entry.ref for entry in client.entries()] == ["before@1", "a@1", "b@1", "@4"]


def test_a_request_that_never_came_is_sent_again(man: Middleman, client: Any) -> None:
    man.requests_to_drop = 2
    assert not client.record("belief", 1, key="a").replayed
    man.requests_to_drop = 2
    assert client.check(["a"]).fresh == ["a"]
    man.answers_to_drop = 2
    assert client.entry("a").seq == 1
    assert len(man.requests) == 9


def test_a_connection_that_was_closed_meanwhile_is_made_again(man: Middleman, client: Any) -> None:
    client.record("belief", 1, key="a")
    man.cut()
    assert client.check(["a"]).fresh == ["a"]


def test_an_import_over_a_bad_line_is_whole_and_records_nothing_twice(man: Middleman, client: Any) -> None:
    lines = [b'{"op":"record","kind":"belief","key":"k/%d","content":%d}\n' % (n, n) for n in range(2_500)]
    man.requests_to_drop, man.answers_to_drop = 1, 1
    report = client.import_lines(lines)
    assert (report.lines, report.outcomes.get("recorded", 0) + report.replayed) == (2_500, 2_500)
    assert report.replayed == 1_000  # the window whose answer was lost
    assert client.status().kinds == {"belief": 2_500}


@pytest.mark.parametrize("code", [400, 404, 409])
def test_what_the_service_refuses_is_asked_once(man: Middleman, client: Any, code: int) -> None:
    client.record("belief", 1, key="a")
    asked = len(man.requests)
    with pytest.raises(LedgerError):
        {
            400: lambda: client.entries(kinds=["nothing"]),
            404: lambda: client.entry("nowhere"),
            409: lambda: client.record("mutation", 1, key="a"),
        }[code]()
    assert len(man.requests) == asked + 1


def test_a_service_that_is_behind_is_asked_until_it_is_not(man: Middleman) -> None:
    """503 with `retry`: asked again, until the time is over, and then told as it was."""
    with LedgerClient(man.address, timeout_s=3.5) as client:
        first = client.record("belief", 1, key="a")
        ahead = "main@9.00c0ffee"
        began_s = time.monotonic()
        with pytest.raises(Behind):
            client.entry("a", at_least=ahead)
        assert time.monotonic() - began_s < 3.5 + SLACK_S
        assert len(man.requests) == 3
        assert client.check(["a"], at_least=ahead).withheld[0].reason == "behind"
        assert client.entry("a", at_least=first.revision).seq == 1


# --- for how long ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def listening(answer: bytes = b"", every_s: float = 0.0) -> Iterator[str]:
    """Something that is no service: it takes connections, and says this and nothing more, or again and again."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)

        def talk(line: socket.socket) -> None:
            with line, contextlib.suppress(OSError):
                line.recv(1 << 16)
                line.sendall(answer)
                while not ended.wait(every_s or 0.05):
                    if every_s:
                        line.sendall(b" ")

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            ended.set()
            thread.join()


def test_a_service_that_says_nothing_is_unavailable_in_time(kind: str) -> None:
    with listening() as address, client_of(kind, address, timeout_s=SOON_S) as client:
        for ask in (lambda: client.check(["a"]), lambda: client.entry("a"), lambda: list(client.export())):
            began_s = time.monotonic()
            with pytest.raises(Unavailable, match="in time"):
                ask()
            assert SOON_S / 2 < time.monotonic() - began_s < SOON_S + SLACK_S


def test_a_service_that_never_ends_its_answer_is_unavailable_in_time(kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n"
    with listening(head, every_s=0.1) as address, client_of(kind, address, timeout_s=SOON_S) as client:
        began_s = time.monotonic()
        with pytest.raises(Unavailable, match="in time"):
            client.check(["a"])
        assert time.monotonic() - began_s < SOON_S + SLACK_S


def test_where_nobody_listens(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with client_of(kind, address, timeout_s=20, connect_s=SOON_S) as client:
        began_s = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            client.record("belief", 1)
        assert time.monotonic() - began_s < SOON_S + SLACK_S
        assert "idempotency_key" not in caught.value.details  # nothing came there, so nothing is recorded
        assert address in caught.value.message


def test_a_write_of_which_nothing_is_known_names_its_key(man: Middleman, kind: str) -> None:
    """What is in doubt can be settled: by the same command under the key that the error names."""
    with client_of(kind, man.address, timeout_s=SOON_S) as client:
        client.record("belief", 0, key="before")
        man.answers_to_drop = 1_000
        with pytest.raises(Unavailable) as caught:
            client.record("belief", 1, key="a")
    man.answers_to_drop = 0
    key = caught.value.details["idempotency_key"]
    assert key in caught.value.message
    with client_of(kind, man.address, timeout_s=20) as patient:
        settled = patient.record("belief", 1, key="a", idempotency_key=key)
        assert (settled.entry, settled.replayed) == ("@2", True)


# --- never silently fresh -------------------------------------------------------------------------------------


def test_a_guard_lets_nothing_pass_that_was_not_looked_at(man: Middleman, kind: str) -> None:
    items = [{"ref": "a", "text": "…"}]
    with client_of(kind, man.address, timeout_s=SOON_S) as client:
        client.record("belief", 1, key="a")
        assert Guard(client)(items).kept == items
        man.requests_to_drop = 1_000
        with pytest.raises(Unavailable):
            Guard(client)(items)
        withheld = Guard(client, on_unavailable="withhold")(items)
        assert (withheld.kept, withheld.withheld[0][1].reason) == ([], "unreachable")
        man.requests_to_drop = 0
        assert Guard(client)(items).kept == items


def test_a_guard_withholds_while_the_service_starts() -> None:
    body = b'{"code":"starting","message":"the service is starting","retry":true}'
    head = b"HTTP/1.1 503 x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    with listening(head % len(body) + body) as address, LedgerClient(address, timeout_s=SOON_S) as client:
        guarded = Guard(client, on_unavailable="withhold")([{"ref": "a"}])
        assert guarded.withheld[0][1].reason == "unreachable"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"{}",
        b"[]",
        b'{"revision":"main@1.00c0ffee","clock":"2026-01-01T00:00:00Z","verdicts":[]}',
        b'{"revision":"main@1.00c0ffee","clock":"2026-01-01T00:00:00Z","verdicts":[{"ref":"b","state":"fresh"}]}',
    ],
)
def test_an_answer_that_is_none_is_no_verdict(kind: str, body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body)
    with listening(head + body) as address, client_of(kind, address) as client, pytest.raises(ServiceError):
        client.check(["a"])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"404 Not Found", ServiceError),
        (b"302 Found\r\nlocation: http://elsewhere.example/", ServiceError),
        (b"401 Unauthorized", Unauthorized),
        (b"502 Bad Gateway", Unavailable),
        (b"599 What", ServiceError),
    ],
)
def test_what_others_answer_in_its_place(kind: str, head: bytes, expected: type[LedgerError]) -> None:
    answer = b"HTTP/1.1 %b\r\nconnection: close\r\ncontent-length: 4\r\n\r\nWhat" % head
    with listening(answer) as address, client_of(kind, address, timeout_s=SOON_S) as client:
        for ask in (lambda: client.check(["a"]), lambda: list(client.export())):
            with pytest.raises(expected) as caught:
                ask()
            assert type(caught.value) is expected
            assert address in caught.value.message


# --- read your writes -----------------------------------------------------------------------------------------


def switch(man: Middleman, service: Service) -> None:
    """The client's next connection comes to another process."""
    man.port = service.port
    man.cut()


@pytest.mark.parametrize("remembers", [True, False])
def test_a_client_reads_its_writes_from_whichever_process_answers(kind: str, remembers: bool) -> None:
    place = MemoryStore()
    seldom = Line(place, poll_s=1_000)  # a process that hears of others only when it is asked to
    with (
        hosted(place) as one,
        hosted(seldom, max_lag_s=5_000) as other,
        middleman(other.port) as man,
        client_of(kind, man.address, read_own_writes=remembers, timeout_s=20) as client,
    ):
        with LedgerClient(one.address) as first:
            first.record("belief", 1, key="a")
        assert client.check(["a"]).fresh == ["a"]  # this opens the ledger in the other process
        switch(man, one)
        revoked = client.revoke("a")
        switch(man, other)
        assert client.check(["a"]).fresh == ([] if remembers else ["a"])
        assert len(client.entries()) == (2 if remembers else 1)
        assert client.check(["a"], at_least=revoked.revision).fresh == []


def test_what_was_written_and_is_gone_is_told(kind: str) -> None:
    """A service that was put back to an older state: what this client wrote is of another history."""
    with hosted() as one, hosted() as other, middleman(one.port) as man:
        with LedgerClient(other.address) as stranger:
            for number in range(3):
                stranger.record("belief", number)
        with client_of(kind, man.address, timeout_s=20) as client:
            client.record("belief", 1, key="a")
            switch(man, other)
            with pytest.raises(ForeignRevision):
                client.check(["a"])


# --- who asks, and where --------------------------------------------------------------------------------------


def test_the_api_key(kind: str) -> None:
    with hosted(api_key="s3cret") as service, middleman(service.port) as man:
        for key in (None, "wrong"):
            with client_of(kind, man.address, api_key=key) as client:
                asked = len(man.requests)
                with pytest.raises(Unauthorized):
                    client.check(["a"])
                with pytest.raises(Unauthorized):
                    list(client.changes("main@0.00000000"))
                assert len(man.requests) == asked + 2
        with client_of(kind, man.address, api_key="s3cret") as client:
            client.record("belief", 1, key="a")
            assert client.check(["a"]).fresh == ["a"]


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "line\nbreak"])
def test_a_key_that_no_header_can_carry(key: str) -> None:
    with pytest.raises(Malformed, match="API key") as caught:
        LedgerClient(api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    ["", "sqlite:///ledger.db", "127.0.0.1:8321", "http://", "http://host:port", "http://h/?a=b", "http://u:pw@host"],
)
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(BadAddress) as caught:
        LedgerClient(address)
    assert "pw" not in str(caught.value)


def test_a_name_that_is_none() -> None:
    with pytest.raises(Malformed):
        LedgerClient(ledger="Acme Prod")


@pytest.mark.parametrize("address", ["http://127.0.0.1:8321", "https://ledger.example"])
def test_the_embedded_ledger_names_the_client(address: str) -> None:
    with pytest.raises(BadAddress, match="LedgerClient"):
        Ledger.open(address)


# --- errors ---------------------------------------------------------------------------------------------------


def errors(kind: type[LedgerError] = LedgerError) -> Iterator[type[LedgerError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from errors(inner)


@pytest.mark.parametrize("kind", [one for one in errors() if "code" in vars(one)], ids=lambda one: one.__name__)
def test_every_error_comes_back_as_what_it_was(kind: type[LedgerError]) -> None:
    sent = kind("what happened", line=3, field="because", standing=["@3"])
    came = error_told(sent.as_dict())
    assert type(came) is kind
    assert came.as_dict() == sent.as_dict()


def test_an_error_of_a_later_version() -> None:
    came = error_told({"code": "tomorrow", "message": "what happened", "retry": True, "line": 3})
    assert type(came) is LedgerError
    assert "tomorrow" in came.message
    assert came.details == {"line": 3, "told_code": "tomorrow"}


def httpx_errors() -> list[type[Exception]]:
    found = [one for one in vars(httpx).values() if isinstance(one, type) and issubclass(one, Exception)]
    return [one for one in found if one is not httpx.CookieConflict]  # nobody asks for cookies here


@pytest.mark.parametrize("kind", httpx_errors(), ids=lambda one: one.__name__)
def test_no_error_of_httpx_comes_through(kind: type[Exception]) -> None:
    error = kind.__new__(kind)
    with pytest.raises((Passing, LedgerError)), translated("http://here"):
        raise error


def test_a_certificate_that_is_not_trusted_is_no_passing_trouble() -> None:
    with pytest.raises(Unavailable, match="trusted"), translated("https://here"):
        raise httpx.ConnectError("refused") from ssl.SSLCertVerificationError("self-signed")
