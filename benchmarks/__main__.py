"""`python -m benchmarks [--quick] [--only PART] [--json FILE] [--docs FOLDER]`; `make bench` writes the docs."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from benchmarks import (
    appending,
    asking,
    checking,
    during,
    graphql_api,
    importing,
    memory,
    revoking,
    serving,
    starting,
    writing,
)
from benchmarks.figures import Measured, Results, Row, Section, machine, shown
from benchmarks.run import Run
from benchmarks.scale import FULL, QUICK
from ledger.cli.progress import Bar

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))


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
        during,
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
    help="Take the figures of an earlier run; measured anew are those of --only.",
)
def main(
    quick: bool, only: tuple[str, ...], neo4j: bool, json_file: Path | None, docs: Path | None, earlier: Path | None
) -> None:
    """Measure the ledger against its raw floors."""
    began = time.monotonic()
    names = only if only or earlier else NAMES
    results = msgspec.json.decode(earlier.read_bytes(), type=Results) if earlier else Results({}, 0, [])
    found = {one.section.name: one for one in results.measured}
    parts = [part for part in PARTS if part.section.name in names]
    failed = False
    with Bar("", len(parts), unit="parts") as bar, Run(QUICK if quick else FULL, bar, neo4j=neo4j) as run:
        for number, part in enumerate(parts):
            bar.to(number, what=part.section.title)
            try:
                found[part.section.name] = measured(run, part)
            except Exception:  # what the others found, or will find, took minutes
                traceback.print_exc()
                failed = True
            results = Results(
                results.machine | machine() | run.versions,
                results.took_s + time.monotonic() - began,
                [found[name] for name in NAMES if name in found],
            )
            began = time.monotonic()
            if json_file is not None:
                json_file.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    if docs is not None:
        from benchmarks.page import write  # which loads what draws

        write(results, docs)
    sys.exit(failed)


def measured(run: Run, part: Part) -> Measured:
    """What a part finds; each row is printed as soon as it is known."""
    click.echo(part.section.title)
    return Measured(part.section, part.text, [told(part.section, row) for row in part.measure(run)])


def told(section: Section, row: Row) -> Row:
    """The row, printed."""
    counted = "" if row.count is None else f"; {section.counted}: {row.count:,}"
    bar = "" if row.bar is None else f"  {row.bar.text}{'' if row.bar.kept else ': MISSED'}"
    figures = f"{shown(row.ours, row.unit):>10}  {row.beside} {shown(row.floor, row.unit)}"
    click.echo(f"  {f'{row.what}{counted}; {section.sized}: {row.size:,}':<78}{figures:<38}{row.ratio:>9.2f}{bar}")
    return row


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # which ends what was started too
    main()
