"""Bad input gets one clear line that names the place and the way out, a stable code, exit 2; and nothing is lost."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from terminal import ROOT, STARTS_WITHIN_S, Terminal, commands, documents

import ledger.store.sqlite as sqlite_store
from ledger import Ledger
from ledger.errors import Malformed

BAD_DIGEST = "sha256:" + "0" * 64

PAGE: list[dict[str, Any]] = [
    {"op": "record", "kind": "dependency", "key": "policy/refund", "content": {"limit": 500}},  # @1
    {"op": "record", "kind": "dependency", "key": "policy/refund", "content": {"limit": 200}},  # @2
    {"op": "record", "kind": "belief", "key": "refund-ok", "content": "yes", "because": [["policy/refund"]]},  # @3
    {"op": "record", "kind": "belief", "key": "pay-out", "content": "soon", "because": [["refund-ok"]]},  # @4
    {"op": "record", "kind": "dependency", "key": "old", "content": 1},  # @5
    {"op": "record", "kind": "dependency", "key": "new", "content": 1, "supersedes": ["old"]},  # @6
    {"op": "record", "kind": "dependency", "key": "gone", "content": "secret"},  # @7
    {"op": "revoke", "target": "gone", "mode": "erased", "reason": "asked for"},  # @8
    {"op": "record", "kind": "dependency", "key": "doubted", "content": 1},  # @9
    {"op": "revoke", "target": "doubted", "mode": "quarantined"},  # @10
    {"op": "revoke", "target": "doubted", "mode": "wrong_from_birth"},  # @11
    {"op": "record", "kind": "belief", "content": 1, "idempotency_key": "once"},  # @12
]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with PAGE in it."""
    terminal = Terminal(tmp_path_factory.mktemp("page"))
    terminal.ok("import", "-", given=commands(PAGE))
    return terminal.file


@pytest.fixture
def page(written: Path, tmp_path: Path) -> Terminal:
    shutil.copy(written, tmp_path / "ledger.db")
    return Terminal(tmp_path)


def refused(terminal: Terminal, *args: str, code: str, says: list[str], given: Any = None, **settings: str) -> None:
    """Exit 2 and one line with the code and all these words; the same told to programs; the ledger as it was."""
    head = terminal.head
    told = terminal.run(*args, given=given, **settings)
    assert told.exit_code == 2, told.output
    assert told.stdout == ""
    (line,) = told.stderr.splitlines()
    assert line.startswith("error: ")
    assert line.endswith(f" ({code})"), line
    assert [word for word in says if word not in line] == [], line
    assert line.isprintable()
    as_json = terminal.run(*args, "--json", given=given, **settings)
    assert as_json.exit_code == 2
    error = json.loads(as_json.stderr)
    assert error["code"] == code
    assert isinstance(error["message"], str)
    assert isinstance(error["retry"], bool)
    assert terminal.head == head


# --- lines of an import ---------------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line that is refused: its text, the code, what the error must name."""

    text: str | bytes
    code: str
    says: list[str]

    @property
    def bytes(self) -> bytes:
        return self.text if isinstance(self.text, bytes) else self.text.encode()


def record(**fields: Any) -> str:
    """A record of a belief, but for what is given."""
    return json.dumps({"op": "record", "kind": "belief", "content": 1} | fields)


def op(name: str, **fields: Any) -> str:
    return json.dumps({"op": name} | fields)


def nested(levels: int) -> str:
    return '{"op":"record","kind":"belief","content":' + "[" * levels + "]" * levels + "}"


LINES = {
    # not JSON at all, or not JSON that can be kept
    "cut off": Line('{"op":"record","kind":', "malformed", ["not JSON", "column", "as if it was cut"]),
    "a word": Line("record", "malformed", ["not JSON", "column 1"]),
    "a list": Line("[1]", "malformed", ["a command is an object, not a list"]),
    "two values": Line("{} {}", "malformed", ["not JSON"]),
    "single quotes": Line("{'op': 'record'}", "malformed", ["not JSON"]),
    "not UTF-8": Line(b'{"op":"record","kind":"belief","content":"\xff"}', "malformed", ["not UTF-8", "0xff"]),
    "UTF-16": Line("{}\n".encode("utf-16"), "malformed", ["not UTF-8"]),
    "zero bytes": Line(b"\x00\x00\x00", "malformed", ["not JSON"]),
    "duplicate keys": Line('{"op":"record","op":"revoke"}', "malformed", ["'op' stands twice"]),
    "duplicate keys in content": Line(
        '{"op":"record","kind":"belief","content":{"a":{"b":1,"b":1}}}', "malformed", ["'b' stands twice"]
    ),
    "NaN": Line('{"op":"record","kind":"belief","content":NaN}', "malformed", ["NaN is not a JSON number"]),
    "Infinity": Line('{"op":"record","kind":"belief","content":[-Infinity]}', "malformed", ["-Infinity"]),
    "1e400": Line('{"op":"record","kind":"belief","content":1e400}', "malformed", ["not a JSON number"]),
    "2^53": Line(record(content={"n": 2**53}), "malformed", ["9007199254740992", "2^53-1", "write it as a string"]),
    "-2^53": Line(record(content=[-(2**53)]), "malformed", ["2^53-1"]),
    "2^53 as a float": Line('{"op":"record","kind":"belief","content":9007199254740992.0}', "malformed", ["2^53-1"]),
    "thousands of digits": Line(
        '{"op":"record","kind":"belief","content":' + "1" * 6_000 + "}", "malformed", ["digits"]
    ),
    "half a character": Line('{"op":"record","kind":"belief","content":"\\ud800"}', "malformed", ["UTF-8"]),
    "half a character in a key": Line(
        '{"op":"record","kind":"belief","key":"\\ud800","content":1}', "malformed", ["U+D800"]
    ),
    # too much
    "too large": Line(record(content="x" * (1 << 20)), "too_large", ["content is 1,048,578 bytes", "1,048,576"]),
    "too deep": Line(nested(65), "too_large", ["64 levels"]),
    "far too deep": Line(nested(200_000), "too_large", ["64 levels"]),
    "a long reason": Line(op("revoke", target="old", reason="x" * 10_001), "malformed", ["reason", "10,000"]),
    # fields
    "no op": Line("{}", "malformed", ["op is missing"]),
    "another op": Line(op("delete"), "malformed", ["'delete'", "record, revoke, reinstate"]),
    "unknown field": Line(record(colour="red"), "malformed", ["unknown field colour"]),
    "another op's field": Line(op("revoke", target="old", digest=BAD_DIGEST), "malformed", ["unknown field digest"]),
    "no content": Line('{"op":"record","kind":"belief"}', "malformed", ["content is missing"]),
    "no target": Line(op("revoke"), "malformed", ["target is missing"]),
    "another kind": Line(record(kind="rumour"), "malformed", ["kind", "'belief', 'approval'", "'rumour'"]),
    "a kind of event": Line(record(kind="revocation"), "malformed", ["kind", "'belief'"]),
    "another mode": Line(
        op("revoke", target="old", mode="deleted"), "malformed", ["mode", "'quarantined'", "'deleted'"]
    ),
    "because is a text": Line(record(because="old"), "malformed", ["because", "list", "'old'"]),
    "because is a list": Line(record(because=["old"]), "malformed", ["because.0", "list", "'old'"]),
    "no premises": Line(record(because=[[]]), "malformed", ["because.0 is empty"]),
    "a premise is a number": Line(record(because=[["old", 3]]), "malformed", ["because.0.1", "string", "the number 3"]),
    "expects is a text": Line(record(key="old", expects="3"), "malformed", ["expects", "integer", "'3'"]),
    "amends is 0": Line(record(key="old", amends=0), "malformed", ["amends", "the number 0"]),
    "amends is huge": Line(record(key="old", amends=2**80), "malformed", []),
    "restate is a text": Line(record(key="old", restate="yes"), "malformed", ["restate", "boolean", "'yes'"]),
    "key is a number": Line(record(key=7), "malformed", ["key", "string", "the number 7"]),
    "no key for a dependency": Line(record(kind="dependency"), "malformed", ["a dependency needs a key"]),
    "restate and amends": Line(record(key="old", restate=True, amends=1), "malformed", ["restate", "amends"]),
    "no digest": Line(op("verify", target="old"), "malformed", ["target and digest"]),
    "a short digest": Line(op("verify", target="old", digest="sha256:00"), "malformed", ["digest", "64"]),
    # times
    "no zone": Line(
        record(occurred_at="2026-01-31T09:30:00"), "malformed", ["occurred_at", "zone", "2026-01-31T09:30:00Z"]
    ),
    "a date": Line(record(valid_until="2026-01-31"), "malformed", ["valid_until", "zone"]),
    "31 February": Line(record(valid_until="2026-02-31T00:00:00Z"), "malformed", ["valid_until", "not a time"]),
    "a number as time": Line(record(occurred_at=1767225600), "malformed", ["occurred_at", "RFC 3339"]),
    "effective later": Line(
        op("revoke", target="old", effective_at="2999-01-01T00:00:00Z"), "malformed", ["effective_at", "after now"]
    ),
    "effective and erased": Line(
        op("revoke", target="old", mode="erased", effective_at="2020-01-01T00:00:00Z"),
        "malformed",
        ["effective_at", "erased"],
    ),
    # names
    "a tab in a key": Line(record(key="a\tb"), "malformed", ["key", "U+0009"]),
    "an escape in an actor": Line(record(actor="a\x1b[31m"), "malformed", ["actor", "U+001B"]),
    "a newline in an idempotency key": Line(record(idempotency_key="a\nb"), "malformed", ["idempotency_key", "U+000A"]),
    "an escape in a reason": Line(op("revoke", target="old", reason="\x1b[2J"), "malformed", ["reason", "control"]),
    "text direction in a key": Line(record(key="a\u202eb"), "malformed", ["key", "U+202E"]),
    "not NFC": Line(record(key="cafe\u0301"), "malformed", ["key", "NFC"]),
    "not NFC in a reference": Line(record(because=[["cafe\u0301"]]), "malformed", ["because.0.0", "NFC"]),
    "a space at the end": Line(record(key="old "), "malformed", ["key", "space"]),
    "an empty key": Line(record(key=""), "malformed", ["key", "empty"]),
    "a long key": Line(record(key="k" * 513), "malformed", ["key", "512 bytes"]),
    "a key like an entry": Line(record(key="@7x"), "malformed", ["key", "'@'"]),
    "a key like a version": Line(record(key="old@3"), "malformed", ["key", "selector"]),
    "a short digest selector": Line(record(because=[["old@sha256:00"]]), "malformed", ["because.0.0", "8 to 64"]),
    "a huge version": Line(record(because=[["old@1234567890123456"]]), "malformed", ["because.0.0"]),
    # references
    "a key that is not there": Line(
        record(because=[["old"], ["polcy/refund"]]),
        "not_found",
        ["field because", "'polcy/refund'", "did you mean 'policy/refund'?"],
    ),
    "nothing like it": Line(op("revoke", target="zebra"), "not_found", ["field target", "'zebra'"]),
    "a version that is not there": Line(
        record(cites=["policy/refund@9"]), "not_found", ["field cites", "versions 1 to 2"]
    ),
    "a digest that is not there": Line(
        record(supersedes=[f"policy/refund@{BAD_DIGEST}"]), "not_found", ["field supersedes", "policy/refund"]
    ),
    "an entry that is not there": Line(op("revoke", target="@99"), "not_found", ["field target", "@99", "ends at @12"]),
    "entry 0": Line(record(because=[["@0"]]), "not_found", ["field because", "@0"]),
    "a key that is not known": Line(
        op("reinstate", target="doubted", lifts=["twice"]), "not_found", ["lifts", "'twice'"]
    ),
    "an event as premise": Line(record(because=[["@8"]]), "not_a_premise", ["field because", "@8 is a revocation"]),
    # laws
    "another kind of key": Line(
        record(key="policy/refund"), "kind_conflict", ["kind", "'policy/refund' is of kind dependency"]
    ),
    "not the current version": Line(
        record(kind="dependency", key="policy/refund", content=3, expects=1),
        "not_current",
        ["expects", "version 2 is current"],
    ),
    "not a new key": Line(
        record(kind="dependency", key="policy/refund", content=3, expects=0),
        "not_current",
        ["expects", "version 2 is current"],
    ),
    "an amendment rests on something else": Line(
        record(key="refund-ok", content="Yes", amends=1, because=[["new"]]), "amendment_changes_support", ["because"]
    ),
    "circular support": Line(
        record(key="refund-ok", content="yes", because=[["pay-out"]]),
        "circular_support",
        ["field because", "refund-ok@1 < pay-out@1 < refund-ok@1"],
    ),
    "circular supersession": Line(
        record(kind="dependency", key="old", content=2, supersedes=["new"]),
        "circular_supersession",
        ["supersedes", "old > new > old"],
    ),
    "self-defeating": Line(
        record(key="refund-ok", content="still", because=[["refund-ok"]]),
        "self_defeating",
        ["because", "cite the old version"],
    ),
    "a stale premise": Line(
        record(because=[["policy/refund@1"]], require_fresh=True),
        "stale_premise",
        ["because", "policy/refund@1 (superseded by @2)"],
    ),
    "an event cannot be revoked": Line(op("revoke", target="@8"), "not_revocable", ["target", "@8 is a revocation"]),
    "it does not stand": Line(
        op("reinstate", target="doubted", lifts=["@8"]), "not_standing", ["lifts", "@8", "standing: @10, @11"]
    ),
    "several stand": Line(op("reinstate", target="doubted"), "several_withdrawals", ["lifts", "@10, @11"]),
    "nothing stands": Line(op("reinstate", target="new"), "nothing_to_lift", ["target", "new@1"]),
    "superseded, not withdrawn": Line(op("reinstate", target="old"), "nothing_to_lift", ["superseded by @6", "named"]),
    "erased is final": Line(op("reinstate", target="gone"), "erased_is_final", ["lifts", "@8"]),
    "another command under the same key": Line(
        record(content=2, idempotency_key="once"), "idempotency_conflict", ["'once'", "@12"]
    ),
    # batches
    "an empty batch": Line(op("batch", commands=[]), "malformed", ["commands", "at least one"]),
    "a batch in a batch": Line(
        op("batch", commands=[{"op": "batch", "commands": [{"op": "revoke", "target": "old"}]}]),
        "malformed",
        ["command 1 of the batch", "no batches"],
    ),
    "form within a batch": Line(
        op("batch", commands=[{"op": "revoke", "target": "old"}, {"op": "revoke"}]),
        "malformed",
        ["command 2 of the batch", "target is missing"],
    ),
    "law within a batch": Line(
        op("batch", commands=[{"op": "revoke", "target": "old"}, {"op": "revoke", "target": "zebra"}]),
        "not_found",
        ["command 2 of the batch", "field target", "'zebra'"],
    ),
}


WAYS = {"each": [], "atomic": ["--atomic"], "dry-run": ["--dry-run"]}
CASES = [
    pytest.param(line, options, id=f"{way}-{name}")
    for name, line in LINES.items()
    for way, options in WAYS.items()
    # The lines of an atomic import are its batch already.
    if not (way == "atomic" and b'"batch"' in line.bytes)
]


@pytest.mark.parametrize(("line", "options"), CASES)
def test_a_bad_line_is_named_and_refused(page: Terminal, line: Line, options: list[str]) -> None:
    text = line.bytes
    refused(page, "import", "-", *options, given=b"\n" + text, code=line.code, says=["line 2: ", *line.says])


def test_an_atomic_import_is_limited(page: Terminal) -> None:
    refused(page, "import", "-", "--atomic", given=documents(10_001), code="too_large", says=["10,000", "--atomic"])


def test_a_file_that_was_cut_in_the_middle_is_recorded_up_to_there(page: Terminal) -> None:
    whole = documents(5)
    cut = whole[: whole.rindex('"content"')]
    told = page.run("import", "-", given=cut)
    assert (told.exit_code, page.head[0]) == (2, len(PAGE) + 4)
    assert "error: line 5: not JSON" in told.stderr
    assert "standard input ends within this line" in told.stderr
    assert "lines 1 to 4 are recorded and stay" in told.stderr
    assert page.json("import", "-", given=whole)["outcomes"] == {"recorded": 1}


def test_a_gzip_file_that_was_cut_or_damaged_is_named(page: Terminal) -> None:
    packed = gzip.compress(documents(1_000).encode())
    file = page.folder / "commands.jsonl.gz"
    for damaged in (packed[: len(packed) // 2], packed[:-6] + b"\0\0\0\0\0\0", packed[:8]):
        file.write_bytes(damaged)
        told = page.run("import", str(file), "--atomic")
        assert told.exit_code == 2
        assert "commands.jsonl.gz' is not whole: " in told.stderr
        assert told.stderr.endswith(" (malformed)\n")
    assert page.head[0] == len(PAGE)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{}", ["line 2", "not a line of a verbatim export"]),
        ('{"entry":{},"hash":"00"}', ["line 2", "not a line of a verbatim export"]),
        ('{"entry"', ["line 2", "not JSON", "as if it was cut"]),
        ('{"op":"revoke","target":"old"}', ["line 2", "not a line of a verbatim export", "use `import`"]),
        ('{"entry":{"kind":"expiry","seq":1,"batch":1,"recorded_at_us":1,"targets":[1]},"hash":"xy"}', ["line 2"]),
    ],
)
def test_a_bad_log_is_not_restored(page: Terminal, line: str, says: list[str]) -> None:
    refused(page, "restore", "-", "--ledger", "new", given="\n" + line, code="malformed", says=says)


def test_a_verbatim_log_is_not_imported(page: Terminal) -> None:
    page.ok("tag", "here")
    *_, entry, tag = page.ok("export", "--entries").splitlines()
    for line in (entry, tag):
        says = ["line 1: op is missing", "verbatim export: use `restore`"]
        refused(page, "import", "-", given=line, code="malformed", says=says)


# --- arguments ------------------------------------------------------------------------------------------------

RECORD = ["record", "--kind", "belief"]

ARGUMENTS = {
    "no such command": (["chek"], "usage", ["'chek'", "'check'", "ledger --help"]),
    "a command of another name": (["compare", "staging"], "usage", ["'compare'", "`ledger diff --other NAME`"]),
    "a mode for a command": (["erase", "old"], "usage", ["'erase'", "`ledger revoke --mode erased`"]),
    "a method for a command": (["plan_withdrawal"], "usage", ["'plan_withdrawal'", "`ledger withdraw`"]),
    "no such option": (["check", "a", "--stor", "x"], "usage", ["--stor", "--store", "ledger check --help"]),
    "no reference": (["check"], "usage", ["REF"]),
    "an age of nothing": (["check", "old", "--max-age", "nan"], "usage", ["--max-age", "seconds", "'nan'"]),
    "a negative age": (["check", "old", "--max-age", "-1"], "usage", ["--max-age", "seconds"]),
    "an infinite age": (["check", "old", "--max-age", "inf"], "usage", ["--max-age", "seconds"]),
    "no kind": (["record", "1"], "usage", ["--kind", "belief, approval"]),
    "another kind": (["record", "--kind", "rumour", "1"], "usage", ["--kind", "'rumour'", "'belief'"]),
    "another mode": (["revoke", "old", "--mode", "gone"], "usage", ["--mode", "'gone'", "'quarantined'"]),
    "no content": (RECORD, "usage", ["--content-file"]),
    "two contents": ([*RECORD, "1", "--content-file", "x"], "usage", ["once"]),
    "content that is no JSON": ([*RECORD, "hello"], "malformed", ["content", "not JSON", "in quotes"]),
    "content with a key twice": ([*RECORD, '{"a":1,"a":2}'], "malformed", ["content", "'a' stands twice"]),
    "content that is NaN": ([*RECORD, "NaN"], "malformed", ["content", "NaN"]),
    "content file not there": ([*RECORD, "--content-file", "/none/x"], "file_trouble", ["'/none/x'", "No such file"]),
    "alternatives that are no JSON": ([*RECORD, "1", "--because", "[[old]]"], "malformed", ["because", "not JSON"]),
    "alternatives twice": (
        [*RECORD, "1", "--because", '[["old"]]', "--because", "new"],
        "malformed",
        ["one --because"],
    ),
    "a premise that is not there": ([*RECORD, "1", "--because", "odl"], "not_found", ["because", "'odl'"]),
    "an actor with control characters": ([*RECORD, "1", "--actor", "a\x07"], "malformed", ["actor", "U+0007"]),
    "a key that is not NFC": ([*RECORD, "1", "--key", "e\u0301"], "malformed", ["key", "NFC"]),
    "a key that is not UTF-8": ([*RECORD, "1", "--key", "a\udcff"], "malformed", ["key", "U+DCFF"]),
    "a time without zone": (
        [*RECORD, "1", "--occurred-at", "2026-01-31T09:30:00"],
        "malformed",
        ["--occurred-at: ", "zone"],
    ),
    "a limit without zone": ([*RECORD, "1", "--valid-until", "tomorrow"], "malformed", ["--valid-until: ", "zone"]),
    "a limit beyond all": (["entries", "--limit", "9" * 20], "usage", ["--limit", "1000000000"]),
    "why nothing": (["why", "polcy/refund"], "not_found", ["did you mean 'policy/refund'?"]),
    "history of nothing": (["history", "@99"], "not_found", ["@99"]),
    "causes of a malformed reference": (["causes", "@x"], "malformed", ["'@x'"]),
    "consequences to a negative depth": (["consequences", "old", "--depth", "-1"], "usage", ["--depth"]),
    "verify without digest": (["verify", "old", "--digest", "abc"], "malformed", ["digest", "64"]),
    "import of nothing": (["import", "none.jsonl"], "file_trouble", ["'none.jsonl'", "No such file"]),
    "import of a folder": (["import", "/"], "file_trouble", ["'/'", "directory"]),
    "import of a name with a zero byte": (["import", "a\0b"], "file_trouble", ["a\\x00b"]),
    "export to nowhere": (["export", "-o", "/none/x"], "file_trouble", ["'/none/x'"]),
    "export to a folder": (["export", "-o", "/"], "file_trouble", ["'/'"]),
    "restore of nothing": (["restore", "none.jsonl"], "file_trouble", ["'none.jsonl'"]),
}


@pytest.mark.parametrize(("args", "code", "says"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_bad_arguments_are_named_and_refused(page: Terminal, args: list[str], code: str, says: list[str]) -> None:
    refused(page, *args, code=code, says=says)


def test_of_no_reference_nothing_is_said(page: Terminal) -> None:
    """A pipe that broke would read as "all are fresh"."""
    for nothing in (b"", b"\n \n"):
        refused(page, "check", "-", given=nothing, code="usage", says=["no reference came", "standard input"])


def test_references_on_standard_input_are_utf_8(page: Terminal) -> None:
    refused(page, "check", "-", given=b"old\nn\xffw\n", code="malformed", says=["line 2", "not UTF-8", "0xff"])


def test_a_closed_standard_input_is_named(page: Terminal) -> None:
    with page.start("import", "-", before=lambda: os.close(0)) as importing:
        _, err = importing.communicate(timeout=STARTS_WITHIN_S)
    assert (importing.returncode, err) == (2, b"error: cannot read standard input: it is closed (file_trouble)\n")


@pytest.mark.parametrize("name", ["../up", "a/b", "", "Main", "a b", "-x", "x" * 64, "a\n", "ä"])
@pytest.mark.parametrize("command", [["check", "old"], ["record", "--kind", "belief", "1"], ["import", "-"]])
def test_a_ledger_has_a_plain_name(page: Terminal, name: str, command: list[str]) -> None:
    refused(
        page, *command, "--ledger", name, code="malformed", says=["is no ledger name", "lower-case letters"], given=""
    )


def test_reading_a_ledger_that_is_not_there_names_those_that_are(page: Terminal) -> None:
    refused(
        page,
        "check",
        "old",
        "--ledger",
        "mian",
        code="no_such_ledger",
        says=["'mian'", "here are: main", "LEDGER_STORE"],
    )


@pytest.mark.parametrize(
    ("args", "begins"),
    [
        (["status", "--at", "tag:production"], "--at: 'main' has no tag 'production'"),
        (["status", "--at=bogus"], "--at: 'bogus' is no revision"),
        (["status", "--at", "tag:"], "--at: '' is no name of a tag"),
        (["status", "--at", "production@100.00000000"], "--at: production@100.00000000 is a revision of the ledger"),
        (["status", "--ledger", "UP"], "--ledger: 'UP' is no ledger name"),
        (["check", "old", "--at-least", "x"], "--at-least: 'x' is no revision"),
        (["withdraw", "--resting-on", "nope"], "--resting-on: nothing is recorded under 'nope'"),
        (["entries", "--about", "@@@"], "--about: '@@@': a key does not start with '@'"),
        (["entries", "--since", "tuesday"], "--since: 'tuesday' is not an RFC 3339 time"),
        (["verify", "old", "--digest", "x"], "--digest should be a digest"),
        (["record", "1", "--kind", "belief", "--because", "nope"], "--because: nothing is recorded under 'nope'"),
        (["revoke", "nope"], "field target: nothing is recorded under 'nope'"),
        (["diff", "bogus"], "field from: 'bogus' is no revision"),
        (["diff", "tag:x"], "field from: 'main' has no tag 'x'"),
        (["tag", "Bad!"], "'Bad!' is no name of a tag"),
        (["withdraw"], "a withdrawal needs a filter"),
    ],
)
def test_an_error_names_the_option_as_it_was_typed(page: Terminal, args: list[str], begins: str) -> None:
    assert page.run(*args).stderr.startswith(f"error: {begins}")


# --- stores ---------------------------------------------------------------------------------------------------

ADDRESSES = {
    "sqlte:///ledger.db": ["did you mean 'sqlite'?"],
    "sqlite:/ledger.db": ["sqlite:///ledger.db"],
    "sqlite://ledger.db": ["sqlite:///ledger.db"],
    "sqlite:///": ["names no file"],
    "sqlite:///a%00b": ["unprintable"],
    "ledger.db": ["sqlite:///ledger.db"],
    "": ["sqlite:///"],
    "ftp://host": ["expected one of sqlite, memory, bolt"],
    "bolt:7687": ["bolt://127.0.0.1:7687"],
    "memory:x": ["memory:"],
}


@pytest.mark.parametrize(("address", "says"), ADDRESSES.items())
def test_a_mistyped_store_address_is_put_right(page: Terminal, address: str, says: list[str]) -> None:
    for command in (["check", "old"], ["record", "--kind", "belief", "1"], ["migrate"]):
        refused(page, *command, f"--store={address}", code="bad_address", says=says)


def test_a_database_that_is_absent_is_not_created_by_looking(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    refused(
        terminal,
        "check",
        "old",
        code="no_such_ledger",
        says=["'main'", "nothing has been written here", terminal.store],
    )
    assert list(tmp_path.iterdir()) == []
    terminal.store = f"sqlite:///{tmp_path}/none/ledger.db"
    for command in (["check", "old"], ["status"], ["record", "--kind", "belief", "1"], ["import", "--dry-run", "-"]):
        says = [f"the folder '{tmp_path}/none' does not exist", "LEDGER_STORE"]
        refused(terminal, *command, code="no_such_database", says=says)


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("CREATE TABLE song (name TEXT)")
    (tmp_path / "text.db").write_text("Dear diary, " * 100)
    (tmp_path / "empty.db").touch()
    (tmp_path / "folder.db").mkdir()
    said = {"other": "something else", "text": "not a SQLite file", "empty": "empty", "folder": "cannot be opened"}
    for name, words in said.items():
        terminal.store = f"sqlite:///{tmp_path}/{name}.db"
        refused(terminal, "check", "old", code="no_such_database", says=[f"{name}.db", words, "LEDGER_STORE"])
        if name != "empty":  # which anything may be written to
            refused(terminal, "import", "-", given=documents(3), code="no_such_database", says=[f"{name}.db"])
    assert (tmp_path / "text.db").read_text() == "Dear diary, " * 100


def test_a_newer_schema_asks_for_a_newer_version(page: Terminal) -> None:
    with contextlib.closing(sqlite3.connect(page.file)) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    for command in (["check", "old"], ["import", "-"], ["migrate"]):
        refused(page, *command, given=documents(1), code="schema_mismatch", says=["schema 99", "newer package"])


def test_a_damaged_file_is_named(page: Terminal) -> None:
    whole = page.file.read_bytes()
    page.file.write_bytes(whole[: len(whole) // 2])
    refused(page, "check", "old", code="corrupt", says=["ledger.db", "damaged"])
    refused(page, "import", "-", given=documents(1), code="corrupt", says=["ledger.db", "damaged"])


@pytest.fixture
def busy(page: Terminal) -> Iterator[sqlite3.Connection]:
    """Another process that holds the database."""
    connection = sqlite3.connect(page.file, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def test_a_locked_database_says_for_how_long_and_may_be_tried_again(page: Terminal, busy: sqlite3.Connection) -> None:
    says = ["ledger.db", "locked by another process for 0.2 s"]
    for command in (["record", "--kind", "belief", "1"], ["import", "-"], ["revoke", "old"]):
        refused(page, *command, given=documents(1), code="locked", says=says, LEDGER_BUSY_TIMEOUT_S="0.2")
    told = page.run("record", "--kind", "belief", "1", "--json", LEDGER_BUSY_TIMEOUT_S="0")
    assert json.loads(told.stderr)["retry"] is True
    assert page.run("check", "new").exit_code == 0
    busy.execute("ROLLBACK")
    page.ok("record", "--kind", "belief", "1")


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "1e9"])
def test_a_mistyped_time_to_wait_is_named(page: Terminal, seconds: str) -> None:
    refused(
        page,
        "check",
        "new",
        code="malformed",
        says=["LEDGER_BUSY_TIMEOUT_S", seconds, "seconds"],
        LEDGER_BUSY_TIMEOUT_S=seconds,
    )


AS_NOBODY = """
import os, sys
import ledger.app, ledger.cli.shell, ledger.service.committer, ledger.service.interchange, ledger.store.sqlite
from ledger.cli import main
if os.getuid() == 0:  # who may write anywhere
    os.setgid(65534)
    os.setuid(65534)
main()
"""


def test_a_database_that_may_not_be_written_to_can_be_read(written: Path, shared_folder: Path) -> None:
    file = shared_folder / "ledger.db"
    shutil.copy(written, file)
    before = Terminal(shared_folder).head

    def run(*args: str) -> tuple[int, str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "LEDGER_STORE": f"sqlite:///{file}"}
        script = [sys.executable, "-c", AS_NOBODY, *args]
        done = subprocess.run(
            script, env=env, capture_output=True, text=True, timeout=STARTS_WITHIN_S, input=documents(1)
        )
        return done.returncode, done.stdout + done.stderr

    file.chmod(0o444)
    shared_folder.chmod(0o777)
    assert run("check", "new")[0] == 0
    for command in (["record", "--kind", "belief", "1"], ["import", "-"], ["revoke", "old"]):
        code, told = run(*command)
        assert code == 2
        assert told.startswith(f"error: '{file}' may not be written to")
        assert told.endswith("(read_only)\n")
    for left in shared_folder.glob("ledger.db-*"):
        left.unlink()
    shared_folder.chmod(0o555)
    for command in (["check", "new"], ["record", "--kind", "belief", "1"]):
        code, told = run(*command)
        assert (code, told.startswith("error: the folder of "), told.endswith("(read_only)\n")) == (2, True, True)
    shared_folder.chmod(0o777)
    assert Terminal(shared_folder).head == before


@pytest.fixture
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that another user can reach, which those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="ledger-test-"))
    yield folder
    folder.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture
def small_disk(page: Terminal, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """SQLite's own way to have no room: no page more than there are."""
    connect = sqlite_store._connect

    def limited(*args: Any) -> sqlite3.Connection:
        connection = connect(*args)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    monkeypatch.setattr(sqlite_store, "_connect", limited)
    return monkeypatch.undo


def test_a_full_disk_records_nothing_and_the_import_completes_when_there_is_room(
    page: Terminal, small_disk: Callable[[], None]
) -> None:
    refused(page, "import", "-", given=documents(900), code="full", says=["no room left", "ledger.db", "nothing of it"])
    big = json.dumps("x" * 50_000)
    refused(page, "record", "--kind", "belief", big, code="full", says=["no room left", "nothing was recorded"])
    small_disk()
    assert page.json("import", "-", given=documents(900))["outcomes"] == {"recorded": 900}
    assert page.run("audit").exit_code == 0


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=3m tmpfs "$FOLDER" || exit 77
cd "$FOLDER"
"$PYTHON" -m ledger import "$COMMANDS" 2>&1
echo "exit $?"
"$PYTHON" -m ledger status 2>&1
"$PYTHON" -m ledger audit 2>&1
"""


def test_a_disk_that_fills_up_in_the_middle_of_an_import(tmp_path: Path) -> None:
    """A real one, where a disk of our own may be mounted."""
    folder, file = tmp_path / "disk", tmp_path / "commands.jsonl"
    folder.mkdir()
    file.write_text(
        commands({"op": "record", "kind": "belief", "key": f"k/{n}", "content": "x" * 40} for n in range(5_000))
    )
    env = {
        "PATH": os.environ["PATH"],
        "FOLDER": str(folder),
        "PYTHON": sys.executable,
        "COMMANDS": str(file),
        "PYTHONPATH": str(ROOT),
    }
    script = ["unshare", "--map-root-user", "--mount", "sh", "-c", ON_A_SMALL_DISK]
    try:
        done = subprocess.run(script, env=env, capture_output=True, text=True, timeout=STARTS_WITHIN_S)
    except FileNotFoundError:
        pytest.skip("there is no unshare here")
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("nothing may be mounted here")
    told = done.stdout.splitlines()
    assert "exit 2" in told, done
    assert any("no room left" in line and line.endswith("(full)") for line in told), told
    assert "Traceback" not in done.stdout
    assert "ok" in told  # which the audit says of the lines before


def test_lists_of_references_in_python() -> None:
    """None is none of them; what is no list says what one looks like."""
    with Ledger.open("memory:") as ledger:
        assert ledger.record("belief", 1, because=None, cites=None, supersedes=None).outcome == "recorded"
        with pytest.raises(Malformed, match=r"because is a list of justifications.*'old' is one text"):
            ledger.record("belief", 1, because="old")
        with pytest.raises(Malformed, match=r"because is a list of justifications.*'old' is one text"):
            ledger.record("belief", 1, because=["old"])
        with pytest.raises(Malformed, match=r"cites is a list of references.*5 is none"):
            ledger.record("belief", 1, cites=5)  # type: ignore[arg-type]
