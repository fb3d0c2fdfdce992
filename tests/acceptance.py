"""Acceptance on real data: `python -m tests.acceptance FOLDER` (the history of the Python Enhancement Proposals).

Imports both histories once into SQLite and Neo4j. States and reasons are held against the true ones after each prefix:
when it has come, and in the end by its tag, there and in a ledger restored from the log. The exports of the two stores
are compared, imported again and restored, and everything is audited. Exit 0 when all is as expected.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))

from neo4j_server import Neo4jServer

from ledger import Ledger

HISTORIES = ("pep-history", "pep-chunks")


class Failure(Exception):
    """Something is not as expected."""


def main(folder: Path) -> None:
    run = uuid.uuid4().hex[:6]
    with tempfile.TemporaryDirectory() as temporary, Neo4jServer() as server:
        stores = {"sqlite": f"sqlite:///{temporary}/ledger.db", "neo4j": server.uri}
        for history in HISTORIES:
            exports = {name: accept(folder, history, store, f"{history}-{run}") for name, store in stores.items()}
            expect(exports["sqlite"] == exports["neo4j"], f"{history}: the exports of the two stores differ")
            say(f"{history}: exports of both stores are identical, {len(exports['sqlite']):,} lines")


def accept(folder: Path, history: str, store: str, ledger: str) -> list[bytes]:
    """Import, checking and tagging after each prefix; then look back, and round trips. Returns the export."""
    prefixes = expected_prefixes(folder, history)
    with gzip.open(folder / f"{history}.jsonl.gz") as lines, Ledger.open(store, ledger) as book:
        done, began = 0, time.perf_counter()
        for prefix, table in prefixes:
            book.import_lines(islice(lines, prefix - done))
            done = prefix
            check_table(book, table, f"{ledger} after {prefix}")
            book.tag(f"after-{prefix}")
        say(
            f"{ledger} in {store.split(':')[0]}: {done:,} commands, "
            f"{done / (time.perf_counter() - began):,.0f}/s checks included"
        )
        if history == "pep-chunks":
            check_table(book, folder / "expected" / "pep-index-2021.tsv.gz", f"{ledger}: the index of 2021")
        look_back(book, prefixes)
        audit(book)
        exported = list(book.export())
        again(store, ledger, exported, prefixes[-1][1])
        restored(store, ledger, list(book.export(entries=True)), book.status().hash, prefixes)
    return exported


def expected_prefixes(folder: Path, history: str) -> list[tuple[int, Path]]:
    found = []
    for table in (folder / "expected").glob(f"{history}-after-*.tsv.gz"):
        match = re.search(r"after-(\d+)", table.name)
        assert match is not None
        found.append((int(match.group(1)), table))
    return sorted(found)


def look_back(book: Ledger, prefixes: list[tuple[int, Path]]) -> None:
    """What was expected after each prefix is what is said of it now."""
    for prefix, table in prefixes:
        check_table(book, table, f"{book.name} at tag:after-{prefix}", at=f"tag:after-{prefix}")


def check_table(book: Ledger, table: Path, what: str, at: str | None = None) -> None:
    """Every row of the table: reference, state, reason."""
    with gzip.open(table, "rt") as lines:
        rows = [line.rstrip("\n").split("\t") for line in lines]
    verdicts = book.check([ref for ref, _, _ in rows], at=at).verdicts
    for (ref, state, reason), verdict in zip(rows, verdicts, strict=True):
        told = "" if verdict.reason in (None, "amended") else verdict.reason
        expect((verdict.state, told) == (state, reason), f"{what}: {ref} is {verdict}, expected {state} {reason}")
    say(f"{what}: all {len(rows):,} states as expected")


def again(store: str, ledger: str, exported: list[bytes], table: Path) -> None:
    """The export imports into an empty ledger, to the same states, and exports to the same lines."""
    with Ledger.open(store, f"{ledger}-again") as book:
        book.import_lines(exported)
        check_table(book, table, f"{ledger}: imported again")
        expect(list(book.export()) == exported, f"{ledger}: exported again, the lines differ")
        audit(book)


def restored(store: str, ledger: str, entries: list[bytes], head: str, prefixes: list[tuple[int, Path]]) -> None:
    """The verbatim log makes the same ledger, with its tags; its past is read into an index at once."""
    with Ledger.open(store, f"{ledger}-restored") as book:
        book.restore(entries)
        expect(book.status().hash == head, f"{ledger}: restored, the head hash differs")
        look_back(book, prefixes)
        audit(book)


def audit(book: Ledger) -> None:
    report = book.audit()
    expect(report.ok, f"{book.name}: audit: {report.problems}")
    say(f"{book.name}: audit passed, {report.entries:,} entries, {report.states:,} states, shown {report.shown_states}")


def expect(true: bool, message: str) -> None:
    if not true:
        raise Failure(message)


def say(message: str) -> None:
    print(message, flush=True)


@contextlib.contextmanager
def told() -> Iterator[None]:
    try:
        yield
    except Failure as failure:
        sys.exit(f"FAILED {failure}")


if __name__ == "__main__":
    with told():
        main(Path(sys.argv[1]))
    say("acceptance passed")
