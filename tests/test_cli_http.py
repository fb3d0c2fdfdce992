"""The command line on a running service: what it prints, says and exits with is what it does on the store itself."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.serving import Service, hosted
from tests.terminal import Terminal, commands

PAGE = commands(
    [
        {"op": "record", "kind": "dependency", "key": "docs/config", "content": {"port": 80}, "actor": "ann"},
        {"op": "record", "kind": "belief", "key": "port", "content": "é", "because": [["docs/config"]]},
        {"op": "record", "kind": "mutation", "key": "open-port", "content": True, "because": [["port"]]},
        {"op": "record", "kind": "dependency", "key": "docs/config", "content": {"port": 443}},
        {"op": "record", "kind": "dependency", "key": "docs/logs", "content": "on"},
        {"op": "revoke", "target": "docs/logs", "reason": "removed"},
    ]
)

READS = (
    "check docs/config docs/config@1 port docs/none",
    "check docs/config",
    "check docs/config --max-age 0",
    "check docs/config --at-least main@99.00c0ffee",
    "check docs/config --at-least nonsense",
    "why port",
    "why nowhere",
    "why port --max-age -1",
    "history docs/config",
    "diff 2026-01-01T00:00:00Z 2026-01-02T00:00:00Z",
    "diff yesterday",
    "diff --other main",
    "diff --other none",
    "causes open-port",
    "consequences docs/config@1 --depth 1 --limit 2",
    "entries",
    "entries --kind belief --kind mutation --limit 1",
    "entries --key-prefix docs/ --state stale --no-content",
    "entries --about docs/config --reason superseded --recorded-since 2026-01-01T00:00:00Z",
    "entries --about nowhere",
    "entries --recorded-before yesterday",
    "entries --current --after 3 --actor ann",
    "remediation",
    "status",
    "check port --at tag:none",
    "tags",
    "audit",
    "export",
    "export --entries",
    "schema",
    "entries --ledger other",
    "entries --ledger No",
)

WRITES = (
    'record --kind dependency --key k {"a":1.50} --actor ann --valid-until 2100-01-01T00:00:00Z',
    "record --kind belief --key b true --because docs/config --because docs/logs --idempotency-key mine",
    "record --kind mutation --key port 1",
    "record --kind belief --key port 1 --expects 9",
    "record --kind belief nonsense",
    "revoke docs/config --mode wrong_from_birth --reason “so”",
    "revoke nowhere",
    "reinstate docs/logs",
    "reinstate docs/logs --lifts @1",
    "verify docs/config --digest sha256:" + "0" * 64,
    "verify docs/config --digest x",
    "tag v1",
    "tag v1 tag:none",
)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    found = Terminal(tmp_path)
    found.ok("import", "-", given=PAGE)
    return found


@pytest.fixture
def service(terminal: Terminal) -> Iterator[Service]:
    with hosted(terminal.store) as served:
        yield served


def over_http(terminal: Terminal, service: Service, *args: str, **given: Any) -> Result:
    return terminal.run(*args, "--store", service.address, **given)


def alike(text: str, *, hashes: bool = True) -> str:
    """Without the present moment and the place; with `hashes=False` without what two ledgers never have in common."""
    text = re.sub(r'"clock": ?"[^"]*"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?', "now", text)
    text = re.sub(r"sqlite:///[^\s;\"]*|http://127\.0\.0\.1:\d+", "here", text)
    return text if hashes else re.sub(r"(@\d+)\.[0-9a-f]{8}", r"\1", text)


@pytest.mark.parametrize("form", ["--json", None])
@pytest.mark.parametrize("line", READS)
def test_reads(terminal: Terminal, service: Service, line: str, form: str | None) -> None:
    args = [*line.split(), *([form] if form else [])]
    ours, theirs = terminal.run(*args), over_http(terminal, service, *args)
    assert theirs.exit_code == ours.exit_code
    assert alike(theirs.stderr) == alike(ours.stderr)
    assert alike(theirs.stdout) == alike(ours.stdout)


@pytest.mark.parametrize("line", WRITES)
def test_writes(terminal: Terminal, service: Service, tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    twin = Terminal(tmp_path_factory.mktemp("twin"))
    twin.ok("import", "-", given=PAGE)
    for _ in range(2):
        ours, theirs = (
            twin.run(*line.split(), "--json"),
            over_http(terminal, service, *line.split(), "--json"),
        )
        assert theirs.exit_code == ours.exit_code
        assert alike(theirs.stderr, hashes=False) == alike(ours.stderr, hashes=False)
        assert alike(theirs.stdout, hashes=False) == alike(ours.stdout, hashes=False)


def test_the_first_write_creates_the_ledger_and_says_so(terminal: Terminal, service: Service) -> None:
    args = ("record", "--kind", "belief", "--ledger", "new", "1")
    created = over_http(terminal, service, *args)
    assert (created.exit_code, created.stderr) == (0, f"created ledger 'new' in {service.address}\n")
    again = over_http(terminal, service, *args, "--json")
    assert (again.exit_code, again.stderr) == (0, "")
    refused = over_http(terminal, service, "revoke", "nowhere", "--ledger", "newer")
    assert "newer" not in refused.stderr


def test_files(terminal: Terminal, service: Service, tmp_path: Path) -> None:
    """Import, export and restore, with the words and counts of the store itself."""
    log, file = str(tmp_path / "log.gz"), str(tmp_path / "page.jsonl")
    Path(file).write_text(PAGE)
    for args in (
        ("export", "--entries", "-o", log, "--json"),
        ("import", file, "--ledger", "again", "--json"),
        ("import", file, "--ledger", "again", "--json"),
        ("import", file, "--ledger", "atomic", "--atomic", "--json"),
        ("restore", log, "--ledger", "back", "--json"),
        ("restore", log, "--ledger", "again", "--json"),
    ):
        theirs = over_http(terminal, service, *args)
        twin = [word if word not in ("again", "atomic", "back") else f"{word}.twin" for word in args]
        ours = terminal.run(*twin)
        assert theirs.exit_code == ours.exit_code, theirs.stderr
        told = alike(ours.stdout, hashes=False).replace(".twin", "")
        assert alike(theirs.stdout, hashes=False) == told
        assert over_http(terminal, service, "audit").exit_code == 0


def test_an_import_tells_its_line_and_what_it_left_behind(terminal: Terminal, service: Service) -> None:
    bad = PAGE + '{"op":"revoke","target":"nowhere"}\n'
    theirs = over_http(terminal, service, "import", "-", "--ledger", "a", given=bad)
    ours = terminal.run("import", "-", "--ledger", "b", given=bad)
    assert theirs.exit_code == ours.exit_code == 2
    assert "lines 1 to 6 are recorded" in theirs.stderr
    assert alike(theirs.stderr).replace("'a'", "'b'") == alike(ours.stderr)


@pytest.mark.parametrize(
    ("args", "says"),
    [(["import", "-", "--dry-run"], "dry run"), (["migrate"], "needs no migrate"), (["migrate", "--json"], '"usage"')],
)
def test_what_needs_the_store_itself(terminal: Terminal, service: Service, args: list[str], says: str) -> None:
    result = over_http(terminal, service, *args, given=PAGE)
    assert result.exit_code == 2
    assert says in result.stderr


def test_the_api_key_comes_from_the_environment_or_a_file(terminal: Terminal, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("s3cret\n")
    wrong.write_text("guessed\n")
    with hosted(terminal.store, api_key="s3cret") as service:
        check = ("check", "docs/config", "--store", service.address)
        for args, settings in (
            ((), {"LEDGER_API_KEY": "s3cret"}),
            ((), {"LEDGER_API_KEY_FILE": str(right)}),
            (("--api-key-file", str(right)), {"LEDGER_API_KEY": "guessed"}),
            ((), {"LEDGER_API_KEY": "s3cret", "LEDGER_API_KEY_FILE": str(wrong)}),
        ):
            assert terminal.run(*check, *args, **settings).exit_code == 0
        for args, settings in (((), {}), (("--api-key-file", str(wrong)), {"LEDGER_API_KEY": "s3cret"})):
            refused = terminal.run(*check, *args, **settings)
            assert refused.exit_code == 2
            assert refused.stderr.endswith("; LEDGER_API_KEY or --api-key-file gives it (unauthorized)\n")
        missing = terminal.run(*check, "--api-key-file", str(tmp_path / "none"))
        assert (missing.exit_code, "file_trouble" in missing.stderr) == (2, True)


@pytest.mark.parametrize("args", [("check", "a"), ("record", "--kind", "belief", "1"), ("export",)])
def test_where_nobody_listens(terminal: Terminal, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.cli.remote.CONNECT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    result = terminal.run(*args, "--store", address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: the service at {address} does not answer")
    assert result.stderr.endswith("; is `ledger serve` running there? (unavailable)\n")


@pytest.mark.parametrize("address", ["http://", "http://u:pw@127.0.0.1:1", "HTTP://127.0.0.1:port"])
def test_an_address_that_is_none(terminal: Terminal, address: str) -> None:
    result = terminal.run("status", "--store", address, "--json")
    assert result.exit_code == 2
    assert json.loads(result.stderr)["code"] == "bad_address"
    assert "pw" not in result.stderr
