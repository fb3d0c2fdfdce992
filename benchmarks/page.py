"""The page of the docs with its pictures and the figures as JSON, each row beside a floor of its own run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.figures import Measured, Results, Row, shown
from benchmarks.pictures import draw

HEAD = """\
<!-- Written by `make bench`: change benchmarks/, not this page. -->

# Benchmarks

What the ledger costs, each figure beside its raw floor in the same run: the least that the same result could cost in
Python with the same engine, without a ledger. Machines differ and are noisy, ratios less so. The tables say **ours** /
floor = ratio; ✗ marks a bar that this run missed.

`make bench` measures all of it and writes this page, its pictures and [the figures as JSON](benchmarks/figures.json).
To see that all runs, in a minute: `.venv/bin/python -m benchmarks --quick`; some parts: `--only check --only ask`.
"""

ALT = {
    "check": "Cost of a check of 100 references against the size of the log",
    "ask": "Cost of why, causes, consequences, impact and diff against the size of the answer and of the log",
    "revoke": "Time of a revocation against the number of dependants",
    "open": "Time to open a ledger against the size of its log",
}


def write(results: Results, docs: Path) -> None:
    """Write `benchmarks.md` and the folder beside it."""
    folder = docs / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_bytes(msgspec.json.format(msgspec.json.encode(results)) + b"\n")
    (docs / "benchmarks.md").write_text(page(results, draw(results, folder)), encoding="utf-8")


def page(results: Results, pictures: list[str]) -> str:
    """The text of the page."""
    parts = [HEAD, *(_section(one, pictures) for one in results.measured if one.rows), _machine(results)]
    return "\n".join(parts)


def _section(found: Measured, pictures: list[str]) -> str:
    name = found.section.name
    picture = f"![{ALT[name]}](benchmarks/{name}.svg)\n\n" if name in pictures else ""
    return f"## {found.section.title}\n\n{found.text}\n\n{picture}{chr(10).join(_table(found))}\n"


def _table(found: Measured) -> Iterator[str]:
    """A line for each thing that is measured, a column for each size."""
    section, rows = found.section, found.rows
    sizes = sorted({row.size for row in rows})
    lines: dict[tuple[str, int | None], dict[int, Row]] = {}
    for row in rows:
        lines.setdefault((row.what, row.count), {})[row.size] = row
    counted = [] if section.counted is None else [section.counted]
    barred = ["bar"] if any(row.bar for row in rows) else []
    first, *others = sizes
    yield _row(["", *counted, f"{section.sized}: {first:,}", *(f"{size:,}" for size in others), "floor", *barred])
    yield _row(["---", *("---:" for _ in [*counted, *sizes]), "---", *("---" for _ in barred)])
    for (what, count), by_size in lines.items():
        any_row = next(iter(by_size.values()))
        yield _row(
            [
                what,
                *(f"{count:,}" for _ in counted),
                *(_cell(by_size[size]) if size in by_size else "" for size in sizes),
                any_row.beside,
                *(any_row.bar.text if any_row.bar else "" for _ in barred),
            ]
        )


def _cell(row: Row) -> str:
    ratio = f"{row.ratio:,.0f}" if row.ratio >= 10 else f"{row.ratio:.2g}"
    missed = " ✗" if row.bar is not None and not row.bar.kept else ""
    return f"**{shown(row.ours, row.unit)}** / {shown(row.floor, row.unit)} = {ratio}{missed}"


def _machine(results: Results) -> str:
    facts = results.machine | {"the whole run": f"{results.took_s / 60:.0f} minutes"}
    rows = [_row([name, value]) for name, value in facts.items()]
    return "\n".join(["## Measured on", "", _row(["", ""]), _row(["---", "---"]), *rows, ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
