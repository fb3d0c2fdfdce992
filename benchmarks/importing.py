"""Import through the whole library. The floor is writing the very same rows and edges, a thousand entries a
transaction: by `executemany` into the same tables, and by `UNWIND` of nodes and then of relationships."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import histories
from benchmarks.figures import Row, Section, at_least
from benchmarks.measure import paired, seconds
from benchmarks.run import Place, Run
from ledger import Ledger

SECTION = Section("import", "Import", "entries with two premises")
BATCH = 1_000
FLOORS = {"SQLite": "executemany", "Neo4j": "UNWIND"}
BARS = {"SQLite": 0.25, "Neo4j": 0.8}


def measure(run: Run) -> Iterator[Row]:
    lines = list(histories.lines(run.scale.imported))
    log = histories.log_of(lines)
    for place in run.places():

        def ours(place: Place = place) -> float:
            name = run.name()
            with Ledger.open(place.address(name), name) as ledger:
                return seconds(lambda: ledger.import_lines(lines))

        def raw(place: Place = place) -> float:
            return place.graph(log, BATCH)

        paired(ours, raw, 1)  # statements are new to the engine once
        mine, floor, ratio = paired(ours, raw, run.scale.rounds)
        yield Row(
            what=f"into {place.engine}",
            size=len(log),
            ours=len(log) / mine,
            floor=len(log) / floor,
            unit="/s",
            beside=FLOORS[place.engine],
            ratio=1 / ratio,
            bar=at_least(1 / ratio, BARS[place.engine]),
        )
