"""What a run found: rows of figures, each beside its raw floor, in sections; and what they were measured on."""

from __future__ import annotations

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks.measure import Pair


class Bar(msgspec.Struct, frozen=True):
    """What is asked of a figure, and whether this run kept it."""

    text: str
    kept: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `ratio` is ours over the floor of costs, and of rates too."""

    what: str
    size: int  # where its section says of what
    count: int | None = None
    ours: float
    floor: float
    unit: str  # s: seconds; /s: entries a second; B: bytes
    beside: str  # what the floor is
    ratio: float
    bar: Bar | None = None


class Section(msgspec.Struct, frozen=True):
    """What is measured in one module: `sized` says what its rows' sizes are, `counted` what their counts are."""

    name: str
    title: str
    sized: str
    counted: str | None = None


class Measured(msgspec.Struct, frozen=True):
    """A section with its text and what was found."""

    section: Section
    text: str
    rows: list[Row]


class Results(msgspec.Struct, frozen=True):
    """A whole run."""

    machine: dict[str, str]
    took_s: float
    measured: list[Measured]


def at_most(ratio: float, limit: float) -> Bar:
    return Bar(f"at most {limit:g}", ratio <= limit)


def cost(pair: Pair, calls: int, *, what: str, size: int, count: int, beside: str, limit: float | None) -> Row:
    """What one of so many calls takes, beside its floor, and held to a limit of their ratio."""
    return Row(
        what=what,
        size=size,
        count=count,
        ours=pair.ours_s / calls,
        floor=pair.floor_s / calls,
        unit="s",
        beside=beside,
        ratio=pair.ratio,
        bar=None if limit is None else at_most(pair.ratio, limit),
    )


def at_least(ratio: float, limit: float) -> Bar:
    return Bar(f"at least {limit:g}", ratio >= limit)


def shown(value: float, unit: str) -> str:
    """With two or three digits that matter."""
    if unit != "s":
        return f"{value:,.0f} {unit}".replace(" /", "/")
    for factor, name in ((1e6, "µs"), (1e3, "ms")):
        if value * factor < 1_000:
            return f"{_short(value * factor)} {name}"
    return f"{_short(value)} s"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.0f}"


PACKAGES = ("agent-state-ledger", "msgspec", "neo4j", "neo4j-rust-ext", "numpy", "orjson", "strawberry-graphql")


def machine() -> dict[str, str]:
    """What the figures were measured on."""
    return {
        "processor": f"{os.cpu_count()} × {_processor()}",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    } | {name: version(name) for name in PACKAGES}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
