"""What a ledger counts about itself while it is open. Whoever wants to show it reads it; nothing here knows how."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

from ledger.model.verdict import FRESH, Report, Verdict

if TYPE_CHECKING:  # who only reads needs nothing of writing
    from ledger.service.drafts import Outcome

Label = tuple[str, str | None]
"""State and reason of a verdict."""

_FRESH: Label = FRESH, None


class Spread:
    """How sizes were spread: of each bound how many were not over it, and their sum."""

    def __init__(self, *bounds: float) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def note(self, size: float, times: int = 1) -> None:
        self._counts[bisect_left(self.bounds, size)] += times
        self.sum += size * times

    def up_to(self) -> Iterator[tuple[float, int]]:
        """(bound, how many were not over it), the last for all: infinity."""
        return zip((*self.bounds, float("inf")), accumulate(self._counts), strict=True)


class Figures:
    """What a ledger was asked in this process, and what became of the writes to it."""

    def __init__(self) -> None:
        self.checks = 0
        self.verdicts: Counter[Label] = Counter()
        self.commit_entries = Spread(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
        self.commit_s = Spread(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
        self.cascade_editions = Spread(0, 1, 2, 5, 10, 100, 1_000, 10_000, 100_000)

    def note_check(self, verdicts: int, others: Sequence[Label]) -> None:
        """A check that was answered: how many verdicts it gave, and those that say more than fresh."""
        self.checks += 1
        self.verdicts[_FRESH] += verdicts - len(others)
        self.verdicts.update(others)

    def note_report(self, report: Report) -> None:
        """The same of a report."""
        told = [one for one in report.found if isinstance(one, Verdict)]
        self.note_check(len(report.found), [(one.state, one.reason) for one in told if not one.plain])

    def note_commit(self, entries: int, seconds: float, outcomes: Sequence[Outcome]) -> None:
        """A commit that went through, and how many editions fell or revived by each command of it."""
        self.commit_entries.note(entries)
        self.commit_s.note(seconds)
        sizes = Counter(one.fell.number + one.revived.number for one in outcomes if not one.replayed)
        for size, times in sizes.items():
            self.cascade_editions.note(size, times)
