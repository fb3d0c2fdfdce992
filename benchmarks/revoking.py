"""A revocation of what many rest on, from the call until a check of the last of them has seen it; and its lifting,
until the last is fresh again. All rest on one (fan), each on the one before (chain), or each on two of the level
before, twenty levels deep (mesh). The floor is one raw commit of one row in the same store; the bar is what may come on
top of it: 100 ms, of a chain 200."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from benchmarks import histories
from benchmarks.figures import Bar, Row, Section
from benchmarks.histories import Shape
from benchmarks.measure import seconds
from benchmarks.run import Place, Run
from ledger import Ledger
from ledger.model.verdict import Report

SECTION = Section("revoke", "Revocation", "dependants")
MORE_S = {"fan": 0.1, "mesh": 0.1, "chain": 0.2}
COMMITS = 50
FEW = 1_000


def measure(run: Run) -> Iterator[Row]:
    log = histories.log_of(histories.notes(COMMITS))
    for place in run.places():
        for shape in (histories.fan, histories.mesh, histories.chain):
            for size in run.scale.dependants:
                commit_s = place.commits(log, 1) / COMMITS
                yield from _rows(run, place, shape, size, commit_s)


def _rows(run: Run, place: Place, shape: Shape, size: int, commit_s: float) -> Iterator[Row]:
    last, name = f"b/{size - 1}", run.name()
    with Ledger.open(place.address(name), name) as ledger:
        ledger.import_lines(histories.dependants(shape, size))
        falls, rises = [], []
        for _ in range(run.scale.rounds + 1):
            falls.append(seconds(lambda: (ledger.revoke("b/root"), _seen(ledger, last, fresh=False))))
            _settle(ledger, size)
            rises.append(seconds(lambda: (ledger.reinstate("b/root"), _seen(ledger, last, fresh=True))))
            _settle(ledger, size)
    more_s = MORE_S[shape.__name__]
    for what, all_s in ((shape.__name__, falls), (f"{shape.__name__}, lifted", rises)):
        took_s = statistics.median(all_s[1:])  # the first loads what the others have
        yield Row(
            what=f"{what}, on {place.engine}",
            size=size,
            ours=took_s,
            floor=commit_s,
            unit="s",
            beside="commit",
            ratio=took_s / commit_s,
            bar=Bar(f"commit + {more_s * 1e3:.0f} ms", took_s <= commit_s + more_s),
        )


def _seen(ledger: Ledger, ref: str, *, fresh: bool) -> Report:
    report = ledger.check([ref])
    assert bool(report.fresh) == fresh
    return report


def _settle(ledger: Ledger, written: int) -> None:
    """Wait until states are written to the nodes too, where the store shows them: the next figure is not of that. A few
    disturb nobody."""
    while written > FEW and (status := ledger.status()).state_seq not in (None, status.head):
        time.sleep(0.5)
