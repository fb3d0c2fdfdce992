"""Growth as pictures: cost against size, on logarithmic axes, so that what grows alike runs in parallel.

They are SVG that a README shows on light ground and on dark: colours that bear both, and grey that follows the reader's
choice. The same figures give the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.figures import Results, Row

INK, LINE = "#59636e", "#d1d9e0"
ON_DARK = {INK: "#9198a1", LINE: "#3d444d"}
FONT = "DejaVu Sans"
"""Laid out with that, which the library brings; it is wider than those that are shown where there are such."""
FONTS_SHOWN = "-apple-system,'Segoe UI','Noto Sans',Helvetica,Arial,sans-serif"
COLOURS = ("#2f81f7", "#e8730c", "#2da44e", "#a475f9", "#d63d8c")

LINE_HEIGHT = 0.065
"""Of a line of text, as a part of the height of the axes."""

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "agent-state-ledger",
    "font.family": FONT,
    "font.size": 10.5,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "ytick.major.size": 0,
    "text.color": INK,
    "lines.linewidth": 2.2,
    "lines.markersize": 5.5,
    "lines.solid_capstyle": "round",
}


class Curve(NamedTuple):
    """A line with its name at its end; a `floor` is thin, dashed and grey."""

    name: str
    points: list[tuple[float, float]]
    floor: bool = False


class Panel(NamedTuple):
    """Some curves on one pair of axes."""

    title: str
    sized: str
    curves: list[Curve]


def draw(results: Results, folder: Path) -> list[str]:
    """Write the pictures that these results make; their names."""
    rows = {one.section.name: one.rows for one in results.measured}
    drawn = []
    for name, panels in _pictures(rows).items():
        filled = [panel for panel in panels if any(len(curve.points) > 1 for curve in panel.curves)]
        if filled:
            (folder / f"{name}.svg").write_text(svg(filled), encoding="utf-8")
            drawn.append(name)
    return drawn


def _pictures(rows: dict[str, list[Row]]) -> dict[str, list[Panel]]:
    return {
        "check": [_checks(rows.get("check", []), when) for when in ("now", "in the past")],
        "ask": [_by_answer(rows.get("ask", [])), _by_log(rows.get("ask", []))],
        "revoke": [_falls(rows.get("revoke", []), engine) for engine in ("SQLite", "Neo4j")],
        "open": [_openings(rows.get("open", []))],
    }


def _checks(rows: list[Row], when: str) -> Panel:
    names = ("key@sha256", "keys")
    asked = {name: [row for row in rows if row.what == f"{name}, {when}" and row.count == 100] for name in names}
    curves = [_ours(name, asked[name]) for name in names]
    return Panel(f"100 references, {when}", "entries in the log", [*curves, _floor("dict", asked["keys"])])


def _by_answer(rows: list[Row]) -> Panel:
    largest, most = max((row.size for row in rows), default=0), _answered_by_all(rows)
    asked = [row for row in rows if row.size == largest and (row.count or 0) <= most]
    return Panel(
        f"by the size of the answer, in a log of {largest:,}",
        "entries in the answer",
        [
            Curve(name, [(row.count or 0, row.ours) for row in asked if row.what == name])
            for name in dict.fromkeys(row.what for row in asked)
        ],
    )


def _by_log(rows: list[Row]) -> Panel:
    most = _answered_by_all(rows)
    asked = [row for row in rows if row.count == most]
    return Panel(
        f"by the size of the log, {most:,} in the answer",
        "entries in the log",
        [_ours(name, [row for row in asked if row.what == name]) for name in dict.fromkeys(row.what for row in asked)],
    )


def _answered_by_all(rows: list[Row]) -> int:
    """The size of the largest answer that every question gives."""
    most: dict[str, int] = {}
    for row in rows:
        most[row.what] = max(row.count or 0, most.get(row.what, 0))
    return min(most.values(), default=0)


def _falls(rows: list[Row], engine: str) -> Panel:
    shapes = {name: [row for row in rows if row.what == f"{name}, on {engine}"] for name in ("chain", "mesh", "fan")}
    curves = [_ours(name, found) for name, found in shapes.items()]
    return Panel(f"until the next check sees it, on {engine}", "dependants", [*curves, _floor("commit", shapes["fan"])])


def _openings(rows: list[Row]) -> Panel:
    of = {how: [row for row in rows if row.what == f"SQLite, {how}"] for how in ("from the log", "from a checkpoint")}
    curves = [_ours(how, found) for how, found in of.items()]
    floor = _floor("raw read", of["from the log"])
    return Panel("until the first check, on SQLite", "entries in the log", [*curves, floor])


def _ours(name: str, rows: Iterable[Row]) -> Curve:
    return Curve(name, [(row.size, row.ours) for row in rows])


def _floor(name: str, rows: Iterable[Row]) -> Curve:
    return Curve(name, [(row.size, row.floor) for row in rows], floor=True)


# --- drawing ----------------------------------------------------------------------------------------------------------


def svg(panels: Sequence[Panel]) -> str:
    """Panels side by side, with the same scale of cost."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(panels) + 0.4, 3.5), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
        bottom, top = figure.axes[0].get_ylim()
        if top / bottom < 50:  # hardly a power of ten to be seen
            figure.axes[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=12))
        _name_ends(figure.axes, panels)
        into = io.StringIO()
        figure.savefig(
            into, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    return _for_both_grounds(into.getvalue())


def _draw(axes: Axes, panel: Panel) -> None:
    axes.set(xscale="log", yscale="log")
    axes.set_title(panel.title, loc="left", fontsize=10.5, pad=10)
    axes.set_xlabel(panel.sized)
    for axis, text in ((axes.xaxis, _count), (axes.yaxis, _cost)):
        axis.set_major_locator(LogLocator(numticks=12))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _, text=text: text(value)))
    axes.grid(axis="x", visible=False)
    colours = iter(COLOURS)
    for curve in panel.curves:
        if curve.points:
            sizes, costs = zip(*curve.points, strict=True)
            if curve.floor:
                axes.plot(sizes, costs, color=INK, linewidth=1.2, linestyle=(0, (4, 3)))
            else:
                axes.plot(sizes, costs, color=next(colours), marker="o", markeredgewidth=0)


def _name_ends(all_axes: Sequence[Axes], panels: Sequence[Panel]) -> None:
    """Write the names of curves at their ends."""
    for axes, panel in zip(all_axes, panels, strict=True):
        bottom, top = axes.get_ylim()
        curves = [curve for curve in panel.curves if curve.points]
        ends = sorted(zip(curves, axes.lines, strict=True), key=lambda pair: pair[0].points[-1][1])
        heights = _apart([math.log(curve.points[-1][1]) for curve, _ in ends], LINE_HEIGHT * math.log(top / bottom))
        for (curve, line), height in zip(ends, heights, strict=True):
            axes.annotate(
                curve.name,
                (curve.points[-1][0], math.exp(height)),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                color=line.get_color(),
                annotation_clip=False,
            )


def _apart(heights: list[float], least: float) -> list[float]:
    """Ascending heights, moved so far from each other as is needed: those too close around their mean."""
    groups: list[list[float]] = []  # of heights less what stands below them; a group shares its mean
    for number, height in enumerate(heights):
        groups.append([height - number * least])
        while len(groups) > 1 and fmean(groups[-2]) > fmean(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    levels = [fmean(group) for group in groups for _ in group]
    return [level + number * least for number, level in enumerate(levels)]


def _count(value: float) -> str:
    return f"{value / 1e6:g} M" if value >= 1e6 else f"{value / 1e3:g} k" if value >= 1e4 else f"{value:,.0f}"


def _cost(value: float) -> str:
    return f"{value:g} s" if value >= 1 else f"{value * 1e3:g} ms" if value >= 1e-3 else f"{value * 1e6:g} µs"


def _for_both_grounds(text: str) -> str:
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark}!important}}'
        for light, dark in ON_DARK.items()
        for what in ("fill", "stroke")
    )
    style = f"<style>@media (prefers-color-scheme:dark){{{rules}}}</style>"
    start = text.index(">", text.index("<svg")) + 1
    return text[:start] + "\n " + style + text[start:].replace(f"'{FONT}'", FONTS_SHOWN)
