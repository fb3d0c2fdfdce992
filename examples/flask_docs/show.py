"""What the demo prints. Colours where there is a terminal, the same words without where there is none."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from examples.flask_docs.history import PREFIX, History
from ledger.guard import Guarded
from ledger.ingest import IngestReport
from ledger.model.verdict import Report, Verdict
from ledger.model.view import Explanation

PLAIN_WIDTH = 110
"""Columns where no terminal tells: longest lines are two references side by side."""


def console(stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, soft_wrap=not stream.isatty(), width=None if stream.isatty() else PLAIN_WIDTH)


class Page:
    """The output, section by section."""

    def __init__(self, history: History) -> None:
        self.out = console()
        self._history = history

    def title(self, text: str, below: str = "") -> None:
        self.out.print()
        self.out.rule(f"[bold]{escape(text)}", align="left", characters="─")
        if below:
            self.out.print(f"[dim]{escape(below)}")

    def say(self, text: str, style: str = "") -> None:
        self.out.print(Text(text, style=style))
