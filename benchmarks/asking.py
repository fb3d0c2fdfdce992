"""Questions about a chain in which each rests on the one before, in logs that grow. The chain is no part of the rest of
the log: its entries are all that a question has to look at. What rests on the first of it (`consequences`), and what
revoking that would do (`impact`); then it is revoked, and the first who asks is told why the last fell (`why`), what it
rests on (`causes`), and what is different since (`diff`). Answers of `causes` and `consequences` end at 1,000 entries;
`diff` and `impact` count all and name 100. The floor walks the same chain in a dict of lists and marks each in a
bytearray; that of `why` reads the same rows from the file too."""

from __future__ import annotations

import contextlib
import sqlite3
import statistics
from collections.abc import Callable, Iterator

from benchmarks import histories
from benchmarks.figures import Row, Section
from benchmarks.measure import paired, seconds
from benchmarks.run import Run
from ledger import Ledger
from ledger.model.view import GRAPH_NODES_MAX

SECTION = Section("ask", "Why, causes, consequences, impact, diff", "entries in the log", "entries in the answer")
REPEATS = 10


def measure(run: Run) -> Iterator[Row]:
    for size in run.scale.sizes:
        with (
            run.copied(size) as path,
            Ledger.open(f"sqlite:///{path}") as ledger,
            contextlib.closing(sqlite3.connect(path)) as rows,
        ):
            for count in run.scale.answers:
                asked = _Asked(run, rows, ledger, size, count)
                yield from asked.before()
                yield from asked.after()


class _Asked:
    """The questions about one chain of `count` entries, its root included, at the end of a log."""

    def __init__(self, run: Run, rows: sqlite3.Connection, ledger: Ledger, size: int, count: int) -> None:
        self.run, self.rows, self.ledger, self.size, self.count = run, rows, ledger, size, count
        self.repeats = REPEATS if run.scale.rounds > 1 else 1
        start = ledger.status().head + 1
        ledger.import_lines(histories.dependants(histories.chain, count - 1, f"chain-{count}"))
        self.root = f"chain-{count}/root"
        self.last = f"chain-{count}/{count - 2}" if count > 1 else self.root
        self.seqs = range(start, start + count)
        self.rests_on_it = {seq: [seq + 1] for seq in self.seqs[:-1]}

    def before(self) -> Iterator[Row]:
        revoked = [{"op": "revoke", "target": self.root}]
        if self.count <= GRAPH_NODES_MAX:
            yield self._row("consequences", lambda: self.ledger.consequences(self.root), self._walk)
        yield self._row("impact", lambda: self.ledger.impact(revoked), self._walk)

    def after(self) -> Iterator[Row]:
        before = self.ledger.revision
        after = self.ledger.revoke(self.root).revision
        yield self._row("why", lambda: self.ledger.why(self.last), self._walk_and_read, first=True)
        if self.count <= GRAPH_NODES_MAX:
            yield self._row("causes", lambda: self.ledger.causes(self.last), self._walk, first=True)
        yield self._row("diff", lambda: self.ledger.diff(before, after), self._walk)

    def _row(self, what: str, ask: Callable[[], object], floor: Callable[[], object], *, first: bool = False) -> Row:
        def once() -> float:
            if first:  # what was found out for others is forgotten with each write
                self.ledger.record("belief", True)
            return seconds(ask)

        def ours() -> float:
            return statistics.median(once() for _ in range(self.repeats))

        def raw() -> float:
            return seconds(lambda: [floor() for _ in range(self.repeats)]) / self.repeats

        mine, least, ratio = paired(ours, raw, self.run.scale.rounds)
        return Row(
            what=what,
            size=self.size,
            count=self.count,
            ours=mine,
            floor=least,
            unit="s",
            beside="walk and rows" if what == "why" else "walk",
            ratio=ratio,
        )

    def _walk(self) -> int:
        start, seen = self.seqs[0], bytearray(self.count)
        queue = [start]
        for one in queue:
            for other in self.rests_on_it.get(one, ()):
                if not seen[other - start]:
                    seen[other - start] = 1
                    queue.append(other)
        return len(queue)

    def _walk_and_read(self) -> int:
        for seq in self.seqs:
            self.rows.execute(
                "SELECT envelope, hash, content FROM entry WHERE ledger = 1 AND seq = ?", [seq]
            ).fetchone()
        return self._walk()
