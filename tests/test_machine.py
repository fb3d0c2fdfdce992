"""The state machine of `machine.py` on every store: whatever is done, all that is said is what the oracle says.

`--hypothesis-profile=long --timeout=0` lets it run at length, from another start each time.
"""

from __future__ import annotations

import itertools
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from machine import LedgerMachine

from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.neo4j import Neo4jStore
from ledger.store.sqlite import SqliteStore

RULES = 40
"""In a history at most; a rule may write several times."""


def played(place: Callable[[], Callable[[], Store]], share: float) -> Counter[str]:
    """Part of the histories that the profile wants, each on a ledger of its own; what came about in them."""
    numbers, run, tally = itertools.count(), uuid.uuid4().hex[:8], Counter[str]()
    run_state_machine_as_test(
        lambda: LedgerMachine(place(), f"machine-{run}-{next(numbers)}", tally),
        settings=settings(max_examples=round(settings().max_examples * share), stateful_step_count=RULES),
    )
    return tally


def test_in_memory() -> None:
    def place() -> Callable[[], Store]:
        store = MemoryStore()
        return lambda: store

    tally = played(place, 2)
    assert all(tally.values()) or settings().max_examples < 100, tally  # `brief` does not come to everything


def test_on_sqlite(tmp_path: Path) -> None:
    tally = played(lambda: lambda: SqliteStore(tmp_path / "ledger.db"), 0.3)
    assert tally["fallen between"], tally


def test_on_neo4j(neo4j_uri: str) -> None:
    """The audit at the end of each holds the states on the nodes too."""
    tally = played(lambda: lambda: Neo4jStore(neo4j_uri), 0.06)
    assert tally["foreseen fall"], tally
