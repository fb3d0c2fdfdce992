"""How large a run is."""

from __future__ import annotations

from typing import NamedTuple


class Scale(NamedTuple):
    """What grows, and how often each figure is taken."""

    rounds: int
    short_rounds: int  # of what takes no time
    sizes: tuple[int, ...]  # entries of the logs that are asked
    references: int  # checked in each round
    imported: int  # entries
    appended: dict[int, int]  # entries, by the callers that wait at once
    dependants: tuple[int, ...]
    answers: tuple[int, ...]  # entries in the answer to one question
    traced: tuple[int, ...]  # entries of the logs whose index is weighed
    served: int  # entries of the log behind HTTP
    load_s: float  # of each load over HTTP
    warm_s: float  # before it: what a Neo4j runs is compiled while it runs


FULL = Scale(
    rounds=3,
    short_rounds=7,
    sizes=(10_000, 100_000, 1_000_000),
    references=30_000,
    imported=20_000,
    appended={1: 300, 64: 6_400, 1_000: 10_000},
    dependants=(1, 100, 1_000, 10_000, 100_000),
    answers=(1, 10, 100, 1_000, 10_000),
    traced=(10_000, 100_000, 1_000_000),
    served=10_000,
    load_s=4.0,
    warm_s=20.0,
)

QUICK = Scale(
    rounds=1,
    short_rounds=1,
    sizes=(1_000, 3_000),
    references=1_000,
    imported=500,
    appended={1: 5, 64: 64, 1_000: 1_000},
    dependants=(1, 100),
    answers=(1, 10),
    traced=(3_000,),
    served=3_000,
    load_s=0.3,
    warm_s=0.3,
)
"""To see that everything runs; its figures say nothing."""
