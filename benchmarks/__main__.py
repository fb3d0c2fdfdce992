"""`python -m benchmarks [--entries N] [--neo4j] [--json FILE]` (or `make bench`)."""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import click

from benchmarks import checking, graphql_api, importing, memory, revoking, serving, starting, writing
from benchmarks.measure import Row

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))


@click.command()
@click.option("--entries", default=20_000, show_default=True, help="Entries to import.")
@click.option("--sizes", default="10000,100000", show_default=True, help="Ledger sizes to check at.")
@click.option("--rounds", default=3, show_default=True, help="Rounds of each pair; the median ratio counts.")
@click.option("--neo4j/--no-neo4j", default=True, show_default=True, help="Start a Neo4j and measure it too.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
def main(entries: int, sizes: str, rounds: int, neo4j: bool, json_file: Path | None) -> None:
    """Measure checks, the service, imports and memory against their floors."""
    rows: list[Row] = []
    for size in map(int, sizes.split(",")):
        rows += show(checking.measure(size, rounds))
    rows += show(serving.measure(10_000, rounds))
    rows += show(graphql_api.measure(10_000, rounds))
    rows += show(memory.measure(50_000))
    rows += show(revoking.measure(100_000, rounds))
    rows += show(starting.measure(100_000))
    rows += show(importing.sqlite(entries, rounds))
    if neo4j:
        rows += show(importing.neo4j(entries, rounds))
        rows += show(writing.measure(rounds))
    if json_file is not None:
        json_file.write_text(json.dumps({"machine": machine(), "rows": [row._asdict() for row in rows]}, indent=2))


def show(rows: list[Row]) -> list[Row]:
    for row in rows:
        click.echo(f"{row.what:<52} {row.ours:>14} {row.floor:>22} {row.ratio:>8.2f}  {row.bar}")
    return rows


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    packages = ("agent-state-ledger", "neo4j", "neo4j-rust-ext", "pydantic", "msgspec", "orjson", "strawberry-graphql")
    return {"python": platform.python_version(), "system": platform.platform()} | {
        name: version(name) for name in packages
    }


if __name__ == "__main__":
    main()
