"""`python -m benchmarks [--quick] [--only PART] [--json FILE] [--docs FOLDER]`; `make bench` writes the docs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from benchmarks import (  # noqa: E402
    appending,
    asking,
    checking,
    graphql_api,
    importing,
    memory,
    revoking,
    serving,
    starting,
    writing,
)
from benchmarks.figures import Measured, Results, Row, Section, machine, shown  # noqa: E402
from benchmarks.run import Run  # noqa: E402
from benchmarks.scale import FULL, QUICK, Scale  # noqa: E402
from ledger.cli.progress import Bar  # noqa: E402


class Part(NamedTuple):
    """A section, what it says of itself, and what measures it."""

    section: Section
    text: str
    measure: Callable[[Run], Iterator[Row]]


PARTS = [
    Part(module.SECTION, (module.__doc__ or "").replace("\n", " "), module.measure)
    for module in (
        checking,
        serving,
        graphql_api,
        asking,
        revoking,
        importing,
        appending,
        writing,
        starting,
        memory,
    )
]
NAMES = [part.section.name for part in PARTS]


@click.command()
@click.option("--quick", is_flag=True, help="Small, in a minute: to see that all runs.")
@click.option("--only", multiple=True, type=click.Choice(NAMES), help="Some parts.")
@click.option("--neo4j/--no-neo4j", default=True, show_default=True, help="Start a Neo4j and measure it too.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures there.")
@click.option(
    "--docs", type=click.Path(file_okay=False, path_type=Path), help="Write the page with its pictures there."
)
@click.option(
    "--from",
    "earlier",
    type=click.Path(exists=True, path_type=Path),
    help="Take the figures of an earlier run.",
)
def main(
    quick: bool, only: tuple[str, ...], neo4j: bool, json_file: Path | None, docs: Path | None, earlier: Path | None
) -> None:
    """Measure the ledger against its raw floors."""
    if earlier is not None:
        results = msgspec.json.decode(earlier.read_bytes(), type=Results)
    else:
        results = measured(QUICK if quick else FULL, only or NAMES, neo4j=neo4j)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    if docs is not None:
        from benchmarks.page import write  # which loads what draws

        write(results, docs)


def measured(scale: Scale, names: Iterable[str], *, neo4j: bool | str) -> Results:
    """Run these parts; `neo4j` may say where one answers already."""
    began = time.monotonic()
    parts = [part for part in PARTS if part.section.name in names]
    found = []
    with Bar("", len(parts), unit="parts") as bar, Run(scale, bar, neo4j=neo4j) as run:
        for number, part in enumerate(parts):
            bar.to(number, what=part.section.title)
            click.echo(part.section.title)
            rows = [told(part.section, row) for row in part.measure(run)]
            found.append(Measured(part.section, part.text, rows))
    return Results(machine(), time.monotonic() - began, found)


def told(section: Section, row: Row) -> Row:
    """Print a row as soon as it is known."""
    counted = "" if row.count is None else f", {row.count:,} {section.counted}"
    bar = "" if row.bar is None else f"  {row.bar.text}{'' if row.bar.kept else ': MISSED'}"
    figures = f"{shown(row.ours, row.unit):>10}  {row.beside} {shown(row.floor, row.unit)}"
    click.echo(f"  {f'{row.what}{counted}; {row.size:,} {section.sized}':<78}{figures:<38}{row.ratio:>9.2f}{bar}")
    return row


if __name__ == "__main__":
    main()
