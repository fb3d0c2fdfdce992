"""The command line: what it prints for people and for programs, its exit codes, and what survives an interruption."""

from __future__ import annotations

import contextlib
import gzip
import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from terminal import ROOT, STARTS_WITHIN_S, Terminal, commands, documents

from ledger import Ledger
from ledger.model.canonical import digest_of


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


@pytest.fixture
def page(terminal: Terminal) -> Terminal:
    """
    record  dependency docs/config {port: 80}                -> @1 superseded by @4
    record  belief port because docs/config                  -> @2 unsupported by @4
    record  mutation open-port because port                  -> @3 lapsed
    record  dependency docs/config {port: 443}               -> @4 fresh
    record  dependency docs/logs "on"                        -> @5 revoked by @6
    """
    terminal.ok("record", "--kind", "dependency", "--key", "docs/config", '{"port": 80}', "--actor", "ann")
    terminal.ok("record", "--kind", "belief", "--key", "port", "80", "--because", "docs/config")
    terminal.ok("record", "--kind", "mutation", "--key", "open-port", "true", "--because", "port")
    terminal.ok("record", "--kind", "dependency", "--key", "docs/config", '{"port": 443}')
    terminal.ok("record", "--kind", "dependency", "--key", "docs/logs", '"on"')
    terminal.ok("revoke", "docs/logs", "--reason", "removed")
    return terminal


# --- check ----------------------------------------------------------------------------------------------------


def test_check_names_state_reason_cause_and_what_to_use_instead(page: Terminal) -> None:
    asked = ["docs/config", "docs/config@1", "port", "docs/logs", "docs/none"]
    assert page.lines("check", *asked) == [
        "fresh                 docs/config",
        "stale    superseded   docs/config@1  by @4 -> use docs/config@2",
        "stale    unsupported  port           by @4",
        "stale    revoked      docs/logs      by @6",
        "unknown  not_found    docs/none",
    ]


@pytest.mark.parametrize(
    ("refs", "code"),
    [
        (["docs/config"], 0),
        (["docs/config", "docs/config@2"], 0),
        (["docs/config", "port"], 1),
        (["docs/none"], 1),
        (["@no"], 1),
    ],
)
def test_check_exits_0_if_all_are_fresh_and_1_if_not(page: Terminal, refs: list[str], code: int) -> None:
    assert page.run("check", *refs).exit_code == code


def test_check_exits_2_when_it_cannot_tell(terminal: Terminal) -> None:
    assert terminal.run("check", "docs/config").exit_code == 2


def test_check_reads_references_from_standard_input(page: Terminal) -> None:
    given = "docs/config\n\n  port \r\ndocs/logs"
    assert [one["ref"] for one in page.json("check", "-", given=given)["verdicts"]] == [
        "docs/config",
        "port",
        "docs/logs",
    ]
    assert [one["ref"] for one in page.json("check", "@1", "-", given="port")["verdicts"]] == ["@1", "port"]


def test_check_answers_programs_as_http_would(page: Terminal) -> None:
    answer = page.json("check", "docs/config@1", "docs/none")
    assert list(answer) == ["revision", "clock", "verdicts"]
    assert answer["revision"].startswith("main@6.")
    assert answer["verdicts"] == [
        {
            "ref": "docs/config@1",
            "state": "stale",
            "reason": "superseded",
            "id": "@1",
            "cause": "@4",
            "successor": "docs/config@2",
        },
        {"ref": "docs/none", "state": "unknown", "reason": "not_found"},
    ]


def test_check_counts_what_was_not_verified_lately_as_fallen(page: Terminal) -> None:
    assert page.run("check", "docs/config", "--max-age", "3600").exit_code == 0
    result = page.run("check", "docs/config", "--max-age", "0")
    assert (result.exit_code, "stale  unverified  docs/config" in result.stdout) == (1, True)
    assert page.run("check", "docs/config", LEDGER_MAX_AGE="0").exit_code == 1


def test_check_names_a_revision_it_must_have_reached(page: Terminal) -> None:
    """One that does not come makes everything unknown; one of another history, or none at all, is an error."""
    revision = page.json("check", "docs/config")["revision"]
    assert page.run("check", "docs/config", "--at-least", revision).exit_code == 0
    ahead = page.run("check", "docs/config", "--at-least", "main@7.9f3c1a2b")
    assert (ahead.exit_code, "unknown  behind  docs/config" in ahead.stdout) == (1, True)
    for token, code in (("main@6.00000000", "foreign_revision"), ("yesterday", "malformed")):
        refused = page.run("check", "docs/config", "--at-least", token)
        assert (refused.exit_code, f"({code})" in refused.stderr) == (2, True)


def test_check_as_of_the_past(page: Terminal) -> None:
    """A revision or a moment; what is neither is an error."""
    before = page.json("check", "docs/config")
    page.ok("revoke", "docs/config")
    assert page.run("check", "docs/config").exit_code == 1
    for at in (before["revision"], before["clock"]):
        told = page.json("check", "docs/config", "--at", at)
        assert (told["revision"], told["verdicts"]) == (before["revision"], before["verdicts"])
    for command in (["why"], ["history"], ["causes"], ["consequences"], ["entries"], ["remediation"], ["status"]):
        ref = ["docs/config"] if command[0] not in ("entries", "remediation", "status") else []
        assert page.json(*command, *ref, "--at", before["revision"])["revision"] == before["revision"], command
    refused = page.run("check", "docs/config", "--at", "yesterday")
    assert (refused.exit_code, "(malformed)" in refused.stderr) == (2, True)


def test_half_characters_are_shown_and_not_stumbled_over(page: Terminal) -> None:
    result = page.run("check", "a\udcff")
    assert (result.exit_code, result.stdout.splitlines()[0]) == (1, "unknown  malformed  a\\udcff")
    assert page.json("check", "a\udcff")["verdicts"][0]["ref"] == "a\udcff"


# --- looking --------------------------------------------------------------------------------------------------


def test_why_shows_the_path_from_the_root_cause(page: Terminal) -> None:
    first, *path = page.lines("why", "port")
    assert first == "stale  unsupported  port  by @4"
    assert [(line.split()[0], line.split()[4]) for line in path] == [
        ("@4", "docs/config@2"),
        ("@1", "docs/config@1"),
        ("@2", "port@1"),
    ]
    assert "superseded" in path[1]
    assert [step["entry"]["id"] for step in page.json("why", "port")["path"]] == ["@4", "@1", "@2"]


def test_history_shows_versions_and_what_happened_to_them(page: Terminal) -> None:
    recorded, revoked, _, edition, *states = page.lines("history", "docs/logs")
    assert recorded.split()[3:] == ["dependency", "docs/logs@1", "stale", "revoked", '"on"']
    assert revoked.split()[3:] == ["revocation", "docs/logs@1", "revoked;", '"removed"']
    assert (edition, [state.split()[2:] for state in states]) == (
        "docs/logs@1",
        [["fresh", "by", "@5", "dependency"], ["stale", "revoked", "by", "@6", "revocation"]],
    )
    assert [entry["id"] for entry in page.json("history", "docs/config")["entries"]] == ["@1", "@4"]


def test_history_tells_what_is_not_shown(terminal: Terminal) -> None:
    """Of many editions the last hundred, and of each the last hundred states."""
    commands = [
        *({"op": "record", "kind": "belief", "key": "k", "content": number} for number in range(102)),
        *({"op": op, "target": "k"} for _ in range(51) for op in ("revoke", "reinstate")),
    ]
    terminal.ok("import", "-", given="\n".join(map(json.dumps, commands)))
    lines = terminal.lines("history", "k")
    assert "the states of 2 earlier editions are not shown" in lines
    assert [line for line in lines if line.startswith("k@")] == [f"k@{number}" for number in range(3, 103)]
    assert "  3 earlier states not shown" in lines


def test_diff_shows_what_fell_and_by_what(page: Terminal) -> None:
    log = page.json("entries")["entries"]
    second, fifth = (f"main@{number}.{log[number - 1]['hash'][:8]}" for number in (2, 5))
    recorded, *versions, fell, config, port, span = page.run("diff", second, fifth).stdout.splitlines()
    assert (recorded, fell) == ("recorded  3", "fell  2")
    assert [(line.split()[0], line.split()[4]) for line in versions] == [
        ("@3", "open-port@1"),
        ("@4", "docs/config@2"),
        ("@5", "docs/logs@1"),
    ]
    assert config.split()[:6] == ["stale", "superseded", "docs/config@1", "by", "@4", "dependency,"]
    assert config.endswith("-> use docs/config@2")
    assert port.split()[:5] == ["stale", "unsupported", "port@1", "by", "@4"]
    assert span.startswith(f"{second} -> {fifth}  ")
    withdrawn, revocation, fell, logs = page.lines("diff", fifth)
    assert (withdrawn, fell) == ("withdrawn  1", "fell  1")
    assert revocation.split()[3:] == ["revocation", "docs/logs@1", "revoked;", '"removed"']
    assert logs.split()[:5] == ["stale", "revoked", "docs/logs@1", "by", "@6"]
    assert "  2 more not shown (--limit)" in page.run("diff", second, fifth, "--limit", "1").stdout.splitlines()
    assert page.lines("diff", fifth, fifth) == ["nothing is different"]
    told = page.json("diff", second, fifth)
    assert (told["from"]["revision"], told["to"]["revision"]) == (second, fifth)
    assert told["fallen"]["first"][1]["event"]["entry"] == "@4"
    assert "amended" in told


def test_diff_of_two_ledgers(page: Terminal) -> None:
    page.ok("record", "--ledger", "staging", "--kind", "dependency", "--key", "docs/config", '{"port": 80}')
    page.ok("record", "--ledger", "staging", "--kind", "dependency", "--key", "docs/logs", '"on"')
    page.ok("record", "--ledger", "staging", "--kind", "belief", "--key", "new", "1")
    lines = [" ".join(line.split()) for line in page.lines("diff", "--other", "staging")]
    assert lines == [
        "only in main 2",
        "open-port@1 stale unsupported",
        "port@1 stale unsupported",
        "only in staging 1",
        "new@1 fresh",
        "other content 1",
        f"docs/config@2 {digest_of({'port': 443})[:15]} -> docs/config@1 {digest_of({'port': 80})[:15]}",
        "other verdict 1",
        "docs/logs@1 stale revoked -> docs/logs@1 fresh",
    ]
    before = page.json("entries")["entries"][0]
    told = page.json("diff", "--other", "staging", "--at", f"main@1.{before['hash'][:8]}")
    assert (told["same"], told["only_there"]["count"]) == (1, 2)
    for wrong in (["--other", "staging", "main@1.00000000"], ["--at", "main@1.00000000"], []):
        refused = page.run("diff", *wrong)
        assert (refused.exit_code, "(usage)" in refused.stderr) == (2, True)
    assert "(no_such_ledger)" in page.run("diff", "--other", "nothing").stderr


def test_diff_goes_forward(page: Terminal) -> None:
    log = page.json("entries")["entries"]
    first, last = (f"main@{number}.{log[number - 1]['hash'][:8]}" for number in (1, 6))
    refused = page.run("diff", last, first)
    assert (refused.exit_code, "from comes after to" in refused.stderr) == (2, True)


def test_consequences_and_causes_are_trees(page: Terminal) -> None:
    assert page.lines("consequences", "docs/config@1") == [
        "docs/config@1  @1  dependency  stale superseded",
        "├─ port@1  @2  belief  stale unsupported",
        "│  └─ open-port@1  @3  mutation  stale unsupported",
        "└─ superseded by @4 docs/config@2 (dependency)",
    ]
    assert page.lines("causes", "open-port") == [
        "open-port@1  @3  mutation  stale unsupported",
        "└─ port@1  @2  belief  stale unsupported",
        "   └─ docs/config@1  @1  dependency  stale superseded",
        "      └─ superseded by @4 docs/config@2 (dependency)",
    ]
    assert page.lines("consequences", "docs/logs") == [
        "docs/logs@1  @5  dependency  stale revoked",
        "└─ withdrawn by @6 (revocation)",
    ]
    assert [node["id"] for node in page.json("causes", "open-port")["nodes"]] == ["@3", "@2", "@1", "@4"]


def test_a_tree_names_what_two_branches_share_once_in_full(terminal: Terminal) -> None:
    terminal.ok("record", "--kind", "belief", "--key", "root", "1")
    for key, because in (
        ("left", "root"),
        ("right", "root"),
        ("both", '[["left"],["right"]]'),
        ("leaf", "both"),
    ):
        terminal.ok("record", "--kind", "belief", "--key", key, "1", "--because", because)
    assert terminal.lines("consequences", "root") == [
        "root@1  @1  belief  fresh",
        "├─ left@1  @2  belief  fresh",
        "│  └─ both@1  @4  belief  fresh",
        "│     └─ leaf@1  @5  belief  fresh",
        "└─ right@1  @3  belief  fresh",
        "   └─ both@1  @4  belief  fresh  (see above)",
    ]
    shallow = terminal.run("consequences", "root", "--depth", "1").stdout.splitlines()
    assert len(shallow) == 4
    assert "1 more not shown" in shallow[-1]


def test_entries_are_filtered_and_paged(page: Terminal) -> None:
    def seqs(*filters: str) -> list[int]:
        return [entry["seq"] for entry in page.json("entries", *filters)["entries"]]

    assert seqs() == [1, 2, 3, 4, 5, 6]
    assert seqs("--kind", "belief", "--kind", "mutation") == [2, 3]
    assert seqs("--key-prefix", "docs/") == [1, 4, 5, 6]
    assert seqs("--actor", "ann") == [1]
    assert seqs("--state", "fresh") == [4]
    assert seqs("--current") == [2, 3, 4, 5]
    assert seqs("--after", "2", "--limit", "2") == [3, 4]
    assert page.run("entries", "--after", "2", "--limit", "2").stdout.splitlines()[-1].endswith("more: --after 4")
    assert "more" not in page.run("entries", "--after", "4", "--limit", "2").stdout
    assert page.json("entries", "--limit", "2")["more"] is True
    assert '{"port":80}' in page.run("entries").stdout
    assert '{"port":80}' not in page.run("entries", "--no-content").stdout


def test_the_actor_of_the_environment_signs_and_does_not_filter(page: Terminal) -> None:
    page.ok("record", "--kind", "belief", "1", LEDGER_ACTOR="eve")
    listed = json.loads(page.ok("entries", "--json", LEDGER_ACTOR="eve"))["entries"]
    assert [entry.get("actor") for entry in listed] == ["ann", None, None, None, None, None, "eve"]


def test_remediation_tells_repair_from_lapsed(page: Terminal) -> None:
    assert page.lines("remediation")[0].split()[0] == "lapsed"
    page.ok("revoke", "docs/config@1", "--mode", "wrong_from_birth")
    (line,) = page.lines("remediation")
    assert line.split()[:2] == ["repair", "@3"]
    assert "by @7" in line
    assert [one["needed"] for one in page.json("remediation")["remediation"]] == [True]


def test_status_names_head_and_counts(page: Terminal) -> None:
    printed, told = page.ok("status"), page.json("status")
    assert told["head"] == 6
    assert len(told["hash"]) == 64
    assert told["hash"] in printed
    assert page.store in printed
    assert "2  stale unsupported" in printed
    assert told["lag_s"] == 0  # each read looks into the file
    assert "lag       0 s" in printed


def test_audit_exits_1_when_something_was_changed_behind_the_ledgers_back(page: Terminal) -> None:
    assert page.run("audit").exit_code == 0
    with contextlib.closing(sqlite3.connect(page.file)) as connection, connection:
        connection.execute("UPDATE entry SET content = '{\"port\":8080}' WHERE seq = 4")
    result = page.run("audit")
    assert (result.exit_code, "problem: entry 4: its content does not have its digest" in result.stdout) == (
        1,
        True,
    )
    assert page.json("audit")["ok"] is False


def test_schema_is_json_schema_and_needs_no_ledger(terminal: Terminal) -> None:
    schema = terminal.json("schema")
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "RecordCommand" in schema["$defs"]


# --- recording ------------------------------------------------------------------------------------------------


def test_the_first_write_creates_the_ledger_and_says_so(terminal: Terminal) -> None:
    first = terminal.run("record", "--kind", "belief", "1")
    assert first.stderr == f"created ledger 'main' in {terminal.store}\n"
    assert terminal.run("record", "--kind", "belief", "2").stderr == ""
    assert "created ledger 'other'" in terminal.run("record", "--kind", "belief", "1", "--ledger", "other").stderr
    note = json.loads(terminal.run("record", "--kind", "belief", "1", "--ledger", "third", "--json").stderr)
    assert note == {"note": "created", "ledger": "third", "store": terminal.store}


@pytest.mark.parametrize(
    "looking",
    [
        ["check", "a"],
        ["why", "a"],
        ["status"],
        ["entries"],
        ["audit"],
        ["export"],
        ["import", "-", "--dry-run"],
    ],
)
def test_looking_creates_nothing(terminal: Terminal, looking: list[str]) -> None:
    terminal.run(*looking, given=documents(2))
    assert list(terminal.folder.iterdir()) == []


def test_a_refused_first_write_creates_nothing(terminal: Terminal) -> None:
    assert terminal.run("record", "--kind", "belief", "1", "--because", "nothing").exit_code == 2
    assert list(terminal.folder.iterdir()) == []


def test_record_takes_every_field(page: Terminal) -> None:
    recorded = page.json(
        "record", "--kind", "approval", "--key", "grant", '{"to": "bob"}',
        "--because", "docs/config", "--because", "port", "--cites", "@1", "--cites", "docs/logs",
        "--supersedes", "docs/logs",
        "--expects", "0", "--valid-until", "2099-01-01T00:00:00Z", "--actor", "ann",
        "--occurred-at", "2026-01-31T09:30:00+01:00", "--idempotency-key", "grant-1",
    )  # fmt: skip
    assert (recorded["outcome"], recorded["ref"]) == ("recorded", "grant@1")
    (entry,) = page.json("history", "grant")["entries"]
    told = {
        name: entry[name]
        for name in ("content", "because", "cites", "supersedes", "valid_until", "actor", "occurred_at")
    }
    assert told == {
        "content": {"to": "bob"},
        "because": [["docs/config@2", "port@1"]],
        "cites": ["docs/config@1", "docs/logs@1"],
        "supersedes": ["docs/logs@1"],
        "valid_until": "2099-01-01T00:00:00.000000Z",
        "actor": "ann",
        "occurred_at": "2026-01-31T08:30:00.000000Z",
    }


def test_record_amends_restates_and_removes_limits(terminal: Terminal) -> None:
    record = ["record", "--kind", "dependency", "--key", "doc"]
    terminal.ok(*record, "1", "--valid-until", "2020-01-01T00:00:00Z")
    assert terminal.json("check", "doc")["verdicts"][0]["reason"] == "expired"
    assert terminal.ok("why", "doc").count(" doc@1 ") == 1, "it is its own cause"
    assert terminal.json(*record, "1", "--valid-until", "none")["outcome"] == "repeated"
    assert terminal.json("check", "doc")["verdicts"][0]["state"] == "fresh"
    assert terminal.json(*record, "2", "--amends", "1")["outcome"] == "amended"
    assert terminal.json(*record, "2", "--restate")["outcome"] == "recorded"


def test_content_comes_as_argument_file_or_standard_input(terminal: Terminal) -> None:
    file = terminal.folder / "content.json"
    file.write_text('{"from": "file"}\n')
    terminal.ok("record", "--kind", "belief", '{"from": "argument"}')
    terminal.ok("record", "--kind", "belief", "--content-file", str(file))
    terminal.ok("record", "--kind", "belief", "-", given='{"from": "input"}')
    contents = [entry["content"]["from"] for entry in terminal.json("entries")["entries"]]
    assert contents == ["argument", "file", "input"]


def test_the_same_idempotency_key_is_answered_not_repeated(terminal: Terminal) -> None:
    record = ["record", "--kind", "belief", "1", "--idempotency-key", "once"]
    first, again = terminal.json(*record), terminal.json(*record)
    assert again["replayed"]
    assert {name: again[name] for name in ("outcome", "entry", "ref", "verdict", "revision")} == {
        name: value for name, value in first.items() if name != "fell"
    }
    assert "recorded (answered before)" in terminal.ok(*record)


def test_a_write_says_what_fell_and_what_revived(page: Terminal) -> None:
    printed = page.ok("revoke", "docs/config@2", "--mode", "wrong_from_birth", "--reason", "never deployed")
    assert printed.splitlines()[:3] == [
        "revoked  @7  docs/config@2  stale wrong_from_birth by @7",
        "  fell 1: docs/config@2",
        "  revived 3: docs/config@1, port@1, open-port@1",
    ]
    assert page.json("reinstate", "docs/config@2")["fell"]["count"] == 3


def test_a_repetition_of_what_is_withdrawn_says_what_stands_against_it(page: Terminal) -> None:
    printed = page.ok("record", "--kind", "dependency", "--key", "docs/logs", '"on"')
    assert "withheld" in printed
    assert "against it stands @6" in printed
    assert page.json("reinstate", "docs/logs", "--lifts", "@6", "--reason", "back")["outcome"] == "reinstated"


def test_verify_tells_another_digest(page: Terminal) -> None:
    assert page.json("verify", "docs/config", "--digest", digest_of({"port": 443}))["outcome"] == "verified"
    assert page.json("verify", "docs/config", "--digest", digest_of("other"))["outcome"] == "diverged"


def test_migrate_brings_a_store_to_this_version(page: Terminal) -> None:
    assert page.ok("migrate") == f"{page.store} is at this version already (schema 2)\n"
    assert page.json("migrate") == {"store": page.store, "found": 2, "schema": 2}


def test_migrate_of_what_is_not_there(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    assert terminal.ok("migrate") == f"{terminal.store} is not there yet; the first write makes it\n"
    (tmp_path / "ledger.db").touch()
    assert terminal.ok("migrate") == f"{terminal.store} was prepared (schema 2)\n"
    assert terminal.ok("migrate", "--store", "memory:") == "memory: needs no preparation\n"


# --- import, export, restore ----------------------------------------------------------------------------------


def test_import_counts_outcomes_and_repeats_nothing(terminal: Terminal) -> None:
    text = documents(3) + documents(1) + commands([{"op": "revoke", "target": "doc/1"}])
    report = terminal.json("import", "-", given=text)
    revision = report.pop("revision")
    assert report == {"lines": 5, "outcomes": {"recorded": 3, "repeated": 1, "revoked": 1}, "replayed": 0}
    head = terminal.head
    again = terminal.json("import", "-", given=text)
    assert again == {"lines": 5, "outcomes": {}, "replayed": 5, "revision": revision}
    assert terminal.head == head
    assert "5  replayed" in terminal.ok("import", "-", given=text)


@pytest.mark.parametrize("as_input", [False, True])
def test_import_notices_gzip_by_itself(terminal: Terminal, as_input: bool) -> None:
    packed = gzip.compress(documents(3).encode())
    file = terminal.folder / "commands.any"
    file.write_bytes(packed)
    terminal.ok("import", "-" if as_input else str(file), given=packed if as_input else None)
    assert terminal.head[0] == 3


def test_import_takes_windows_lines_blank_lines_and_no_last_newline(terminal: Terminal) -> None:
    text = "\ufeff" + documents(3).replace("\n", "\r\n\r\n").rstrip()
    assert terminal.json("import", "-", given=text)["lines"] == 3


def test_import_stops_at_the_first_error_and_goes_on_from_there(terminal: Terminal) -> None:
    lines = documents(4).splitlines(keepends=True)
    wrong = lines[2].replace("dependency", "rumour")
    result = terminal.run("import", "-", given="".join([*lines[:2], wrong, lines[3]]))
    assert result.exit_code == 2
    assert "error: line 3: kind should be 'belief'" in result.stderr
    assert "lines 1 to 2 are recorded and stay" in result.stderr
    assert terminal.head[0] == 2
    assert terminal.json("import", "-", given="".join(lines))["replayed"] == 2
    assert terminal.head[0] == 4


def test_an_atomic_import_is_all_or_nothing(terminal: Terminal) -> None:
    text = documents(3) + commands([{"op": "revoke", "target": "doc/9"}])
    result = terminal.run("import", "-", "--atomic", given=text)
    assert result.exit_code == 2
    assert "line 4: field target: nothing is recorded under 'doc/9'" in result.stderr
    assert "nothing of it is recorded" in result.stderr
    assert terminal.head[0] == 0
    assert terminal.json("import", "-", "--atomic", given=documents(3))["lines"] == 3


def test_a_dry_run_judges_each_line_on_top_of_those_before_it_and_records_nothing(page: Terminal) -> None:
    head = page.head
    text = documents(1500) + commands(
        [
            {
                "op": "record",
                "kind": "belief",
                "key": "late",
                "content": 1,
                "because": [["doc/0", "doc/1499"]],
            },
            {"op": "revoke", "target": "doc/1499"},
            {"op": "reinstate", "target": "docs/logs", "lifts": ["@6"]},
        ]
    )
    report = page.json("import", "-", "--dry-run", given=text)
    assert report["outcomes"] == {"recorded": 1501, "reinstated": 1, "revoked": 1}
    assert (report["dry_run"], report["revision"]) == (True, page.json("check", "port")["revision"])
    assert page.ok("import", "-", "--dry-run", given=text).startswith("would import 1,503 commands\n")
    assert page.head == head
    wrong = page.run("import", "-", "--dry-run", given=text + commands([{"op": "revoke", "target": "doc/1500"}]))
    assert (wrong.exit_code, "line 1504: field target" in wrong.stderr) == (2, True)
    assert "nothing of it is recorded" in wrong.stderr
    assert page.head == head
    assert page.json("import", "-", given=text)["outcomes"] == report["outcomes"]


def test_a_dry_run_knows_what_was_imported_before(terminal: Terminal) -> None:
    terminal.ok("import", "-", given=documents(5))
    assert terminal.json("import", "-", "--dry-run", given=documents(8))["replayed"] == 5


def test_export_makes_the_same_ledger_again(page: Terminal, tmp_path: Path) -> None:
    other = Terminal(tmp_path / "other")
    other.folder.mkdir()
    other.ok("import", "-", given=page.ok("export"))
    refs = ["docs/config", "docs/config@1", "port", "open-port", "docs/logs", "@6"]
    assert other.json("check", *refs)["verdicts"] == page.json("check", *refs)["verdicts"]


def test_restore_brings_back_the_same_hash(page: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl.gz"
    page.ok("export", "--entries", "-o", str(file))
    other = Terminal(tmp_path / "other")
    other.folder.mkdir()
    assert other.json("restore", str(file))["hash"] == page.head[1]
    assert other.head == page.head
    there = other.ok("restore", str(file)).splitlines()[0]  # what is there already must be the same, and is
    assert there == f"restored {page.head[0]} entries, of which {page.head[0]} were there"
    page.ok("record", "--kind", "belief", "1")
    refused = page.run("restore", str(file))
    assert (refused.exit_code, refused.stderr.endswith("(corrupt)\n")) == (2, True)


def test_a_changed_log_is_not_restored(page: Terminal, tmp_path: Path) -> None:
    log = page.ok("export", "--entries").replace('"port":80}', '"port":81}')
    other = Terminal(tmp_path / "other")
    other.folder.mkdir()
    result = other.run("restore", "-", given=log)
    assert "error: line 1: the content of entry 1 does not have its digest (corrupt)" in result.stderr
    assert other.head[0] == 0


def test_an_export_file_appears_whole_or_not_at_all(page: Terminal) -> None:
    file = page.folder / "out.jsonl"
    file.write_text("what was here before")
    assert page.run("export", "-o", str(file), "--ledger", "none").exit_code == 2
    assert file.read_text() == "what was here before"
    with contextlib.closing(sqlite3.connect(page.file)) as connection, connection:
        whole = connection.execute("SELECT envelope FROM entry WHERE seq = 5").fetchone()[0]
        connection.execute("UPDATE entry SET envelope = '{' WHERE seq = 5")
    assert page.run("export", "-o", str(file)).exit_code == 2
    assert file.read_text() == "what was here before"
    with contextlib.closing(sqlite3.connect(page.file)) as connection, connection:
        connection.execute("UPDATE entry SET envelope = ? WHERE seq = 5", (whole,))
    assert page.json("export", "-o", str(file))["lines"] == 6
    assert file.read_text() == page.ok("export")
    assert sorted(one.name for one in page.folder.iterdir()) == ["ledger.db", "out.jsonl"]


# --- settings and looks ---------------------------------------------------------------------------------------


def test_settings_come_from_the_environment_and_options_win(page: Terminal) -> None:
    page.ok("record", "--kind", "belief", "--key", "here", "1", LEDGER_LEDGER="other")
    assert page.run("check", "here", LEDGER_LEDGER="other").exit_code == 0
    assert page.run("check", "here", "--ledger", "main", LEDGER_LEDGER="other").exit_code == 1
    assert json.loads(page.ok("status", LEDGER_JSON="1"))["ledger"] == "main"
    assert page.run("status", "--store", "sqlite:///none.db").exit_code == 2


def test_colour_is_for_terminals_that_want_it(page: Terminal) -> None:
    assert "\x1b" not in page.ok("check", "docs/config")


@pytest.mark.parametrize(
    ("command", "method", "says"),
    [
        ("withdraw --kind belief", "plan_withdrawal", "planning the withdrawal"),
        ("withdraw --kind belief --yes", "withdraw", "withdrawing"),
        ("impact docs/config", "impact", "looking ahead"),
        ("diff 2026-01-01T00:00:00Z", "diff", "comparing"),
        ("diff --other main", "compare", "comparing"),
        ("audit", "audit", "auditing"),
    ],
)
def test_what_takes_long_is_told_on_a_terminal(
    page: Terminal, monkeypatch: pytest.MonkeyPatch, command: str, method: str, says: str
) -> None:
    """Though it does not tell how far it is; and nothing of it where standard error is no terminal."""
    answered = getattr(Ledger, method)

    def answered_late(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("progress", None)  # as a service, which tells none
        time.sleep(1)
        return answered(*args, **kwargs)

    monkeypatch.setattr(Ledger, method, answered_late)
    monkeypatch.setattr("ledger.cli.progress.PATIENCE_S", 0.05)
    assert says not in page.run(*command.split()).stderr
    monkeypatch.setattr("click.testing._NamedTextIOWrapper.isatty", lambda stream: stream.name == "<stderr>")
    assert says in page.run(*command.split(), TERM="xterm").stderr


def test_help_names_every_command(terminal: Terminal) -> None:
    printed = terminal.ok("--help")
    for name in ("check", "import", "export", "restore", "record", "revoke", "why", "audit", "migrate"):
        assert f"  {name} " in printed
        assert "Usage: " in terminal.ok(name, "--help")
    assert terminal.run().exit_code == 2
    assert terminal.ok("--version").startswith("ledger ")


def test_what_might_steer_a_terminal_is_written_as_escapes(terminal: Terminal) -> None:
    terminal.ok("record", "--kind", "belief", "--key", "odd", '"a\\u009b31mb"')
    assert "\\x9b31m" in terminal.ok("history", "odd")


# --- processes ------------------------------------------------------------------------------------------------


def test_exit_codes_and_streams_of_a_process(page: Terminal) -> None:
    assert page.process("check", "docs/config")[0] == 0
    assert page.process("check", "port")[0] == 1
    code, out, err = page.process("why", "none")
    assert (code, out) == (2, "")
    assert err == "error: nothing is recorded under 'none' (not_found)\n"


def test_a_check_does_not_load_what_only_writing_needs(page: Terminal) -> None:
    script = (
        "import sys; from ledger.cli.shell import cli\n"
        "try: cli.main(['check', 'docs/config'])\n"
        "except SystemExit: print(sorted({'pydantic', 'rich', 'neo4j', 'tenacity'} & set(sys.modules)))"
    )
    env = {"LEDGER_STORE": page.store, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


IMPATIENT = """
import os, runpy, signal, sys
_, importing, *sys.argv[1:] = sys.argv

class Impatient:
    def find_spec(name, *_):
        if name == importing:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Impatient)
runpy.run_module("ledger", run_name="__main__")
"""


@pytest.mark.parametrize("importing", ["ledger.cli.shell", "click", "ledger.errors", "ledger.app"])
def test_ctrl_c_in_the_first_moments_is_told_as_later(terminal: Terminal, importing: str) -> None:
    def told(*args: str) -> tuple[int, str]:
        command = [sys.executable, "-c", IMPATIENT, importing, "check", "x", "--store", terminal.store, *args]
        done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr.lstrip()  # where a command runs, the line of ^C is ended first

    assert told() == (130, "error: interrupted (interrupted)\n")
    assert told("--json") == (130, '{"code":"interrupted","message":"interrupted","retry":true}\n')


def test_what_the_package_gives_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, ledger\n"
        "before = {name for name in sys.modules if name.startswith('ledger.')}\n"
        "assert before == set() and set(ledger.__all__) <= set(dir(ledger))\n"
        "from ledger import *\n"
        "print(Ledger.__module__, LedgerClient.__module__, LedgerError.code, hasattr(ledger, 'nothing'))"
    )
    env = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "ledger.app ledger.client.clients error False\n"


def test_a_reader_that_has_had_enough_is_no_error(terminal: Terminal) -> None:
    terminal.ok("import", "-", given=documents(5_000))
    with terminal.start("export") as export:
        assert export.stdout is not None
        assert export.stderr is not None
        assert export.stdout.readline().startswith(b'{"op":"record"')
        export.stdout.close()
        assert export.stderr.read() == b""
        assert export.wait(STARTS_WITHIN_S) == 141


def test_a_full_disk_behind_standard_output_is_an_error(page: Terminal) -> None:
    with open("/dev/full", "wb") as full, page.start("export", stdout=full) as export:
        assert export.stderr is not None
        assert b"(file_trouble)" in export.stderr.read()
        assert export.wait(STARTS_WITHIN_S) == 2


def test_ctrl_c_ends_an_import_that_waits_for_input_and_keeps_what_was_read(terminal: Terminal) -> None:
    text = documents(2_500).encode()
    with terminal.start("import", "-", stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        assert importing.stderr is not None
        importing.stdin.write(text + b'{"op":"rec')
        importing.stdin.flush()
        wait_for_entries(terminal, 2_000)
        time.sleep(0.5)  # for the rest, of which no commit tells
        importing.send_signal(signal.SIGINT)
        told = importing.stderr.read().decode()
        assert importing.wait(STARTS_WITHIN_S) == 130
    entries, _ = terminal.head
    assert 2_000 < entries <= 2_500
    assert f"lines 1 to {entries:,} are recorded and stay; run it again to complete it (interrupted)" in told
    assert "Traceback" not in told


def test_ctrl_c_in_the_middle_of_an_import_finishes_the_commit_and_another_run_completes_it(
    terminal: Terminal,
) -> None:
    file = terminal.folder / "commands.jsonl"
    file.write_text(documents(30_000))
    with terminal.start("import", str(file)) as importing:
        wait_for_entries(terminal, 1_000)
        importing.send_signal(signal.SIGINT)
        _, err = importing.communicate(timeout=STARTS_WITHIN_S)
    assert importing.returncode == 130
    assert b"run it again to complete it (interrupted)" in err
    entries, _ = terminal.head
    assert 1_000 <= entries < 30_000
    assert f"lines 1 to {entries:,} are recorded".encode() in err
    report = terminal.json("import", str(file))
    assert (report["replayed"], report["outcomes"]) == (entries, {"recorded": 30_000 - entries})
    assert terminal.head[0] == 30_000
    assert terminal.run("audit").exit_code == 0


def test_ctrl_c_before_an_atomic_import_is_whole_records_nothing(terminal: Terminal) -> None:
    with terminal.start("import", "-", "--atomic", stdin=subprocess.PIPE) as importing:
        assert importing.stdin is not None
        importing.stdin.write(documents(100).encode())
        importing.stdin.flush()
        time.sleep(1.5)
        importing.send_signal(signal.SIGINT)
        importing.wait(STARTS_WITHIN_S)
    assert importing.returncode in (130, -signal.SIGINT)  # the latter, if it had not even started
    assert terminal.head[0] == 0


def test_two_processes_import_at_once(terminal: Terminal) -> None:
    """One file by two of them and another by a third, into a database that none of them finds."""
    for name in ("a", "b"):
        (terminal.folder / f"{name}.jsonl").write_text(documents(2_000, prefix=name))
    importing = [terminal.start("import", f"{name}.jsonl", "--json") for name in ("a", "a", "b")]
    reports = []
    for one in importing:
        out, err = one.communicate(timeout=STARTS_WITHIN_S)
        assert one.returncode == 0, err
        reports.append(json.loads(out))
    recorded = sum(report["outcomes"].get("recorded", 0) for report in reports)
    replayed = sum(report["replayed"] for report in reports)
    assert (recorded, replayed) == (4_000, 2_000)
    assert terminal.head[0] == 4_000
    assert terminal.run("audit").exit_code == 0


def wait_for_entries(terminal: Terminal, entries: int) -> None:
    """Until a process that writes has come that far."""
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        with contextlib.suppress(sqlite3.Error):
            uri = f"file:{terminal.file}?mode=ro"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                row = connection.execute("SELECT head FROM ledger").fetchone()
            if row and row[0] >= entries:
                return
        time.sleep(0.01)
    raise AssertionError(f"{entries} entries did not come")
