"""Bars for people: on standard error, on a terminal only, and only for what takes a while."""

from __future__ import annotations

import os
import sys
import threading
import time
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 0.6
"""Before that nobody wonders, and rich takes 100 ms to import."""


class Bar:
    """`with Bar("importing", total) as bar: bar.to(done)`; without a total it shows how far, no more.

    `by_itself` it is shown though nobody tells how far it is: what goes on, and for how long.
    """

    def __init__(self, what: str, total: int | None = None, *, unit: str = "", by_itself: bool = False) -> None:
        self.what = what
        self.total = total
        self.unit = unit
        self.done = 0
        self._since = time.monotonic()
        self._shown: Any = None
        self._task: Any = None
        self._wanted = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._showing = threading.Lock()
        self._timer = threading.Timer(PATIENCE_S, self._show) if by_itself and self._wanted else None

    def to(self, done: int, *, total: int | None = None, what: str | None = None) -> None:
        """How far it is. May be called from another thread."""
        self.done, self.total, self.what = done, total or self.total, what or self.what
        if not self._wanted:
            return
        if self._shown is None:
            if time.monotonic() - self._since < PATIENCE_S:
                return
            self._show()
        self._shown.update(self._task, completed=done, total=self.total, description=self.what)

    def on(self, more: int) -> None:
        """That much further."""
        self.to(self.done + more)

    def __enter__(self) -> Self:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._shown is not None:
            self._shown.stop()

    def _show(self) -> None:
        with self._showing:
            if self._shown is None:
                self._shown = self._started()

    def _started(self) -> Any:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
        )

        amount = DownloadColumn() if self.unit == "bytes" else MofNCompleteColumn()
        amounts = (amount, TextColumn(self.unit.replace("bytes", ""))) if self.done or self.total else ()
        columns = (TextColumn("{task.description}"), BarColumn(), *amounts, TimeElapsedColumn())
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = shown.add_task(self.what, total=self.total)
        shown.start()
        return shown
