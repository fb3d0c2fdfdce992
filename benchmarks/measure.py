"""How we measure: pairs in turn, and the median of their ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table. `ratio` is ours over the floor, in whatever `bar` is put in."""

    what: str
    ours: str
    floor: str
    ratio: float
    bar: str


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired(ours: Callable[[], float], floor: Callable[[], float], rounds: int) -> tuple[float, float, float]:
    """Median seconds of both, and the median of ours/floor pair by pair: drift of the machine's speed cancels out."""
    # What a benchmark prepared is not the garbage collector's business while it measures.
    gc.collect()
    gc.freeze()
    pairs = [(ours(), floor()) for _ in range(rounds)]
    gc.unfreeze()
    ratio = statistics.median(mine / raw for mine, raw in pairs)
    return statistics.median(mine for mine, _ in pairs), statistics.median(raw for _, raw in pairs), ratio
