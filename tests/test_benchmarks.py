"""The benchmarks run, small; and the page in the docs is what its figures make."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from neo4j_server import Neo4jServer

from benchmarks.__main__ import NAMES, PARTS, Part, main, measured
from benchmarks.figures import Results
from benchmarks.page import page, write
from benchmarks.run import Run
from benchmarks.scale import QUICK
from ledger.cli.progress import Bar

DOCS = Path(__file__).resolve().parents[1] / "docs"
ON_NEO4J = [part for part in PARTS if part.section.name in ("revoke", "import", "append", "write", "open")]


@pytest.fixture(scope="module")
def committed() -> Results:
    return msgspec.json.decode((DOCS / "benchmarks" / "figures.json").read_bytes(), type=Results)


def test_all_parts_run_without_a_server(tmp_path: Path) -> None:
    outcome = CliRunner().invoke(main, ["--quick", "--no-neo4j", "--docs", str(tmp_path)], catch_exceptions=False)
    assert outcome.exit_code == 0
    found = msgspec.json.decode((tmp_path / "benchmarks" / "figures.json").read_bytes(), type=Results)
    measured_here = {one.section.name: one.rows for one in found.measured}
    assert list(measured_here) == NAMES
    assert [name for name, rows in measured_here.items() if not rows] == ["write"]
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert all(f"| {row.what} |" in text for rows in measured_here.values() for row in rows)
    assert {path.stem for path in (tmp_path / "benchmarks").glob("*.svg")} == {"check", "ask", "revoke", "open"}


@pytest.fixture(scope="module")
def run(neo4j_server: Neo4jServer) -> Iterator[Run]:
    """A run that has a Neo4j."""
    with Bar("") as bar, Run(QUICK, bar, neo4j=neo4j_server.uri) as shared:
        yield shared


@pytest.mark.parametrize("part", ON_NEO4J, ids=[part.section.name for part in ON_NEO4J])
def test_what_is_measured_on_neo4j_runs(run: Run, part: Part) -> None:
    assert any("Neo4j" in row.what and row.ours > 0 for row in measured(run, part).rows)
    assert run.versions["Neo4j"]


def test_the_page_is_what_its_figures_make(committed: Results) -> None:
    pictures = [path.stem for path in (DOCS / "benchmarks").glob("*.svg")]
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == page(committed, pictures)


def test_pictures_of_the_same_figures_are_the_same(committed: Results, tmp_path: Path) -> None:
    once, again = tmp_path / "once", tmp_path / "again"
    write(committed, once)
    write(committed, again)
    drawn = sorted((once / "benchmarks").glob("*.svg"))
    assert [path.name for path in drawn] == sorted(path.name for path in (DOCS / "benchmarks").glob("*.svg"))
    for path in drawn:
        assert path.read_bytes() == (again / "benchmarks" / path.name).read_bytes()
        assert path.stat().st_size < 30_000
        ElementTree.fromstring(path.read_text(encoding="utf-8"))
        assert "prefers-color-scheme:dark" in path.read_text(encoding="utf-8")
