"""Time that a test owns."""

from __future__ import annotations

from ledger.clock import SECOND


class ManualClock:
    """Stands still until told to go on; given to `Ledger.open(…, clock=…)`. It begins with the year 2026."""

    def __init__(self) -> None:
        self.now_us = 1_767_225_600 * SECOND

    def __call__(self) -> int:
        return self.now_us

    def wait(self, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back, as a badly kept machine would."""
        self.now_us += round(seconds * SECOND)
