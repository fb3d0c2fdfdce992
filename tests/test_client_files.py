"""What is long over HTTP: imports, exports, restores and changes, whole or told not to be."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger import Ledger, LedgerClient
from ledger.client import importing
from ledger.errors import Corrupt, Interrupted, LedgerError, Malformed, TooLarge, Unavailable
from ledger.model.lines import LINE_BYTES_MAX, Splitter
from tests.clients import client_of
from tests.middleman import Middleman
from tests.serving import LINES, Service, hosted

SMALL = {"body_bytes_max": 4_096, "commands_max": 20}


def record(number: int, **more: Any) -> bytes:
    return line({"op": "record", "kind": "belief", "key": f"k/{number}", "content": {"n": number}, **more})


def line(command: dict[str, Any]) -> bytes:
    return json.dumps(command, ensure_ascii=False).encode() + b"\n"


FILES = {
    "plain": [record(number) for number in range(30)],
    "twice": [record(1), record(1), b"\n", record(2)],
    "batches": [line({"op": "batch", "commands": [json.loads(record(n)) for n in range(12)]}), record(3), record(12)],
    "keys": [record(1, idempotency_key="mine"), record(2, idempotency_key=None), record(3, cites=["k/1"])],
    "odd": [b'  {"op": "record", "kind": "belief", "content": "\xc3\xa9 \\u00e9 idempotency_key", "key":"k"}  \r\n'],
    "empty": [],
    "refused": [record(1), record(2), record(3, because=[["nowhere"]]), record(4)],
    "refused at once": [record(3, because=[["nowhere"]]), record(4)],
    "malformed": [record(1), b'{"op":"recrod"}\n', record(2)],
    "no JSON": [record(1), b"{\n"],
    "cut": [record(1), record(2)[:-5]],
}


# --- import ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [False, True], ids=["by line", "atomic"])
@pytest.mark.parametrize("name", FILES)
def test_an_import_does_what_the_embedded_one_does(client: Any, name: str, atomic: bool) -> None:
    with Ledger.open("memory:") as embedded:
        for _ in range(2):
            assert imported(client, FILES[name], atomic) == imported(embedded, FILES[name], atomic)
        ours = [(entry.ref, entry.content) for entry in embedded.entries()]
        theirs = [(entry.ref, entry.content) for entry in client.entries()] if ours else []
        assert theirs == ours


def imported(one: Any, lines: list[bytes], atomic: bool) -> Any:
    landed: list[int] = []
    try:
        report = one.import_lines(lines, atomic=atomic, progress=landed.append)
    except LedgerError as error:
        return type(error), error.as_dict(), sum(landed)
    return report.lines, report.outcomes, report.replayed, report.revision.partition(".")[0], sum(landed)


def test_an_import_here_is_completed_there(kind: str, tmp_path: Path) -> None:
    """The keys of lines are the same, so that an import that broke off may go on in another way."""
    store, file = f"sqlite:///{tmp_path / 'ledger.db'}", FILES["plain"]
    with Ledger.open(store) as embedded, hosted(store) as service, client_of(kind, service.address) as client:
        embedded.import_lines(file[:10])
        report = client.import_lines(file)
        assert (report.outcomes, report.replayed) == ({"recorded": 20}, 10)
        assert embedded.import_lines(file).replayed == 30


def test_a_service_with_smaller_limits_gets_smaller_windows(kind: str) -> None:
    file = [record(number, idempotency_key=f"{number}-{'x' * 400}") for number in range(100)]
    with hosted(**SMALL) as service, client_of(kind, service.address) as client:
        assert client.import_lines(file).outcomes == {"recorded": 100}
        assert [entry.key for entry in client.entries()] == [f"k/{number}" for number in range(100)]
        with pytest.raises(TooLarge) as caught:
            client.import_lines([record(200), record(201, content="x" * 5_000), record(202)])
        assert caught.value.details["line"] == 2
        with pytest.raises(TooLarge, match="LEDGER_COMMANDS_MAX"):
            client.import_lines([record(number) for number in range(300, 325)], atomic=True)
        assert client.status().head == 101


def test_windows_are_bounded_by_bytes(client: Any, man: Middleman, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "WINDOW_BYTES", 1_000)
    client.import_lines(FILES["plain"])
    assert 3 <= len([one for one in man.requests if b"commands" in one]) <= 10


def test_an_import_that_is_interrupted_records_what_was_read(client: Any) -> None:
    def lines() -> Iterator[bytes]:
        yield from FILES["plain"][:5]
        raise Interrupted("interrupted")

    with pytest.raises(Interrupted):
        client.import_lines(lines())
    assert client.status().head == 5
    assert client.import_lines(FILES["plain"]).replayed == 5


def test_an_import_without_an_answer_names_the_line_it_came_to(man: Middleman, kind: str) -> None:
    with client_of(kind, man.address, timeout_s=0.5) as client:
        client.record("belief", 1)
        man.answers_to_drop = 1_000
        with pytest.raises(Unavailable) as caught:
            client.import_lines([b"\n", *FILES["plain"]])
        assert caught.value.details["line"] == 2


def test_lines_that_must_be_waited_for_hold_up_nobody_else(service: Service) -> None:
    """An import in an event loop reads beside it."""
    gate = threading.Event()

    def lines() -> Iterator[bytes]:
        yield FILES["plain"][0]
        assert gate.wait(20)
        yield FILES["plain"][1]

    async def both() -> int:
        from ledger.client import AsyncLedgerClient

        async with AsyncLedgerClient(service.address) as client:
            await client.record("belief", 1, key="a")
            importing = asyncio.create_task(client.import_lines(lines()))
            await asyncio.sleep(0.1)
            assert (await client.check(["a"])).fresh == ["a"]
            gate.set()
            return (await importing).lines

    assert asyncio.run(both()) == 2


# --- export and restore ---------------------------------------------------------------------------------------


@pytest.fixture
def full(client: Any) -> Any:
    """A ledger with more than one piece of everything."""
    client.import_lines([record(number, content={"text": "é" * 200}) for number in range(2_000)])
    client.revoke("k/7", "erased")
    return client


def test_a_log_comes_back_with_the_same_hash(full: Any, kind: str) -> None:
    log = list(full.export(entries=True))
    landed: list[int] = []
    with hosted(body_bytes_max=2_048) as service, client_of(kind, service.address, "copy") as copy:
        head = copy.restore(iter(log), progress=landed.append)  # however long: it is taken line by line
        assert (head.seq, head.hash.hex(), sum(landed)) == (2_001, full.status().hash, 2_001)
        assert copy.check(["k/8"]).fresh == ["k/8"]
        assert copy.audit().ok
        assert copy.restore(log) == head  # it was there
        with Ledger.open("memory:") as embedded:
            assert embedded.restore(log) == head


def test_a_forged_log_is_not_restored(full: Any, man: Middleman) -> None:
    log = list(full.export(entries=True))
    forged = [*log[:1_500], log[1_500].replace(b"k/1500", b"k/9999"), *log[1_501:]]
    with LedgerClient(man.address, "forged") as copy, pytest.raises(Corrupt) as caught:
        copy.restore(forged)
    assert caught.value.details["line"] == 1_501
    with LedgerClient(man.address, "nonsense") as copy, pytest.raises(Malformed) as refused:
        copy.restore([b"{}\n"] * 100_000)  # it is refused while it still comes
    assert refused.value.details["line"] == 1


def test_a_restore_that_broke_off_is_completed(full: Any, man: Middleman) -> None:
    log = list(full.export(entries=True))

    def half() -> Iterator[bytes]:
        yield from log[:1_000]
        while b"POST /v1/ledgers/copy/restore HTTP/1.1" not in man.requests:
            time.sleep(0.01)
        man.cut()
        yield from log[1_000:]

    with LedgerClient(man.address, "copy") as copy:
        with pytest.raises(Unavailable):
            copy.restore(half())
        assert copy.restore(log).hash.hex() == full.status().hash


def test_a_line_without_end_is_refused(service: Service) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(LINE_BYTES_MAX // (1 << 20) + 4):
            yield b"x" * (1 << 20)

    answer = httpx.post(f"{service.address}/v1/ledgers/copy/restore", content=endless(), headers=LINES, timeout=60)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("entries", [False, True])
def test_an_export_that_breaks_off_is_told(full: Any, man: Middleman, entries: bool) -> None:
    whole = list(full.export(entries=entries))
    man.bytes_until_cut = 300_000
    lines = []
    with pytest.raises(Unavailable):
        lines.extend(full.export(entries=entries))
    man.bytes_until_cut = None
    assert list(full.export(entries=entries)) == whole


def test_what_is_left_unread_is_let_go(full: Any) -> None:
    lines = full.export()
    assert json.loads(next(lines))["key"] == "k/0"
    lines.close()
    assert full.check(["k/1"]).fresh == ["k/1"]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_lines_come_out_of_pieces_as_they_were(size: int) -> None:
    text = b"one\n\ntwo\r\nthree \xe2\x80\xa8 still three\n" + b"four" * 20 + b"\nrest"
    splitter, pieces = Splitter(), [text[start : start + size] for start in range(0, len(text), size)]
    lines = [found for piece in pieces for found in splitter.feed(piece)]
    assert lines == [one + b"\n" for one in text.split(b"\n")[:-1]]
    assert splitter.rest() == b"rest"


# --- changes --------------------------------------------------------------------------------------------------


def test_changes_go_on_over_lost_connections(man: Middleman, client: Any) -> None:
    client.record("belief", 0, key="start")
    changes = client.changes()
    told = []
    with LedgerClient(f"http://127.0.0.1:{man.port}") as writer:
        for number in range(12):
            writer.record("belief", number, key=f"k/{number}")
            if number % 4 == 2:
                man.cut()  # he is told the rest when he asks again
            told.append(next(changes).recorded.first[0].ref)
    assert told == [f"k/{number}@1" for number in range(12)]
    changes.close()
    assert client.revision.startswith("main@13.")


def test_changes_of_what_is_not_there(client: Any) -> None:
    with pytest.raises(LedgerError) as caught:
        next(client.changes("main@0.00000000"))
    assert caught.value.code == "no_such_ledger"
    client.record("belief", 1)
    with pytest.raises(LedgerError) as caught:
        next(client.changes("main@1.00c0ffee"))
    assert caught.value.code == "foreign_revision"


def test_changes_are_given_up_when_nobody_is_there(man: Middleman, kind: str) -> None:
    with client_of(kind, man.address, timeout_s=0.5) as client:
        client.record("belief", 1, key="a")
        changes = client.changes("main@0.00000000")
        assert next(changes).recorded.first[0].ref == "a@1"
        man.requests_to_drop = 1_000
        man.cut()
        with pytest.raises(Unavailable):
            next(changes)


def test_many_changes(client: Any) -> None:
    client.import_lines([record(number) for number in range(1_500)])
    changes = list(itertools.islice(client.changes("main@0.00000000"), 1_500))
    assert [one.recorded.first[0].ref for one in changes] == [f"k/{number}@1" for number in range(1_500)]
