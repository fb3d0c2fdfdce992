"""Runs the demo: `python -m examples.flask_docs [--store URL]`, or STORE=neo4j for a Neo4j of its own."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path

from examples.flask_docs import decision
from examples.flask_docs.history import History
from examples.flask_docs.questions import QUESTIONS
from examples.flask_docs.releases import RELEASES, FetchError, fetch
from examples.flask_docs.search import Bm25
from examples.flask_docs.show import Page, console
from examples.flask_docs.telling import Telling
from ledger import Ledger, LedgerError
from ledger.guard import Guard, Guarded

INDEXED = "2.0.3"
"""The release whose pages are in the index; the ledger knows all later ones."""

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when all was shown, 1 with one line on standard error when something is missing, 130 on Ctrl-C."""
    options = _parser().parse_args(arguments)
    _never_fail_to_print()
    try:
        with _store(options.store) as address:
            run(address)
    except (FetchError, LedgerError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return _fail("stopped", 130)
    return 0


def run(address: str) -> None:
    """The whole demo, on the store at `address`, in a ledger of its own."""
    history = History()
    page = Page(history)
    with Ledger.open(address, ledger=f"flask-docs-{datetime.now(UTC):%Y%m%d-%H%M%S}") as ledger:
        packages = _fetch_all(page)
        decided = _bring_in_all(ledger, history, packages, page)
        _ask_all(ledger, history, page)
        _show_decision(ledger, decided, page)


def _fetch_all(page: Page) -> dict[str, Path]:
    with page.progress("fetching Flask", len(RELEASES)) as begin:
        packages = {}
        for release in RELEASES:
            begin(release.version)
            packages[release.version] = fetch(release)
    return packages


def _bring_in_all(ledger: Ledger, history: History, packages: dict[str, Path], page: Page) -> decision.Decision:
    """Release after release; before the last one, somebody decides something."""
    page.title(
        "Flask's documentation, release after release, into one ledger",
        f"Ledger {ledger.name}. Each section rests on its page, and changes alone.",
    )
    reports = {}
    with page.progress("ingesting Flask", len(RELEASES)) as begin:
        for release in RELEASES:
            begin(release.version)
            reports[release.version] = history.bring_in(ledger, release, packages[release.version])
            if release.version == decision.BEFORE:
                decided = decision.decide(ledger)
    page.releases(reports)
    return decided


def _ask_all(ledger: Ledger, history: History, page: Page) -> None:
    """A dozen questions to an index of old pages, with the guard between it and the model."""
    chunks = history.chunks[INDEXED]
    page.title(
        f"A retriever over the pages of {INDEXED}, and a guard",
        "✓ goes to the model; ✗ is withheld: why, since when, by which entry → what stands there today",
    )
    started = time.perf_counter()
    report = ledger.check([chunk.ref for chunk in chunks])
    page.index_today(report.verdicts, 1000 * (time.perf_counter() - started), INDEXED)
    search, guard, telling = Bm25(chunks), Guard(ledger), Telling(history, INDEXED, RELEASES[-1].version)
    answers: list[tuple[list[dict[str, str]], Guarded]] = []
    for number, question in enumerate(QUESTIONS, 1):
        found = search(question)
        guarded = guard(found)
        page.answer(number, question, found, guarded)
        page.told(*telling.difference(question, guarded))
        answers.append((found, guarded))
    withheld = [verdict for _, guarded in answers for _, verdict in guarded.withheld]
    found_count = sum(len(found) for found, _ in answers)
    page.sum(found_count, found_count - len(withheld), sum(verdict.successor is not None for verdict in withheld))


def _show_decision(ledger: Ledger, decided: decision.Decision, page: Page) -> None:
    """What the last release did to what a person had allowed and an agent had done."""
    page.title(
        "One decision, and what it rested on",
        f"While {decision.BEFORE} was current, ann read {decided.section},\n"
        "allowed Python 3.8 for the shop, and an agent changed an image.",
    )
    page.states(f"When it was decided, on {decision.BEFORE}", decided.then)
    page.change(ledger.entry(decided.section), ledger.entry(decision.SECTION))
    page.states(f"Since {decision.AFTER}", ledger.check(decided.refs).verdicts)
    page.chain(ledger.why(decided.mutation))
    page.remedies(ledger.remediation())


def _never_fail_to_print() -> None:
    """A terminal whose encoding has no ✓ shows a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def _store(address: str | None) -> Iterator[str]:
    """The address asked for; else a Neo4j started for this, or a file in a temporary folder."""
    wanted = address or os.environ.get("STORE") or "sqlite"
    if wanted == "neo4j":
        with _neo4j() as uri:
            yield uri
    elif wanted == "sqlite":
        with tempfile.TemporaryDirectory(prefix="flask-docs-") as folder:
            yield f"sqlite:///{folder}/ledger.db"
    else:
        yield wanted


@contextmanager
def _neo4j() -> Iterator[str]:
    sys.path.insert(0, str(SCRIPTS))
    from neo4j_server import Neo4jServer, Neo4jServerError

    console(stderr=True).print("starting a Neo4j for this run", style="dim")
    try:
        with Neo4jServer() as server:
            yield server.uri
    except Neo4jServerError as error:
        raise FetchError(str(error)) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.flask_docs", description=__doc__)
    parser.add_argument("--store", help="a store address, or sqlite or neo4j (default: $STORE, else sqlite)")
    return parser


def _fail(message: str, code: int = 1) -> int:
    console(stderr=True).print(f"flask_docs: {message}", style="red", markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
