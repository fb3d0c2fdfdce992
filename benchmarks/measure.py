"""How we measure: pairs in turn, and the median of their ratios."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Pair(NamedTuple):
    """Seconds of ours and of the floor, and ours over the floor."""

    ours_s: float
    floor_s: float
    ratio: float


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def paired(ours: Callable[[], float], floor: Callable[[], float], rounds: int) -> Pair:
    """Median seconds of both, and the median of ours/floor pair by pair: drift of the machine's speed cancels out."""
    # What a benchmark prepared is not the garbage collector's business while it measures.
    gc.collect()
    gc.freeze()
    pairs = [(ours(), floor()) for _ in range(rounds)]
    gc.unfreeze()
    ratio = statistics.median(mine / raw for mine, raw in pairs)
    return Pair(statistics.median(mine for mine, _ in pairs), statistics.median(raw for _, raw in pairs), ratio)
