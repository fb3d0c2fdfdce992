"""What the demo prints. Colours where there is a terminal, the same words without where there is none."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from examples.flask_docs.history import PREFIX, History
from ledger.guard import Guarded
from ledger.ingest import IngestReport
from ledger.model.verdict import Verdict
from ledger.model.view import EntryView, Explanation, PathStep, Remedy

PLAIN_WIDTH = 100
"""Columns where no terminal tells how many it has."""

COUNTED = ("recorded", "repeated", "revoked")


def console(*, stderr: bool = False) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, highlight=False, width=None if stream.isatty() else PLAIN_WIDTH)


class Page:
    """Everything that is printed, in the order of the methods."""

    def __init__(self, history: History) -> None:
        self.out = console()
        self._history = history
        self._table: list[list[str]] = []

    def title(self, text: str, below: str = "") -> None:
        self.out.print()
        self.out.rule(Text(text, style="bold"), align="left")
        if below:
            self.out.print(Text(below, style="dim"))

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Any]:
        """A bar where there is a terminal to draw it on; call what it gives with the name of what begins."""
        if not self.out.is_terminal:
            self.say(f"{what}, {total} releases", "dim")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=self.out, transient=True, disable=not self.out.is_terminal) as bar:
            task = bar.add_task(what, total=total)
            done = iter(range(total))

            def begin(name: str) -> None:
                bar.update(task, description=f"{what} {name}", completed=next(done))

            yield begin

    def releases(self, reports: dict[str, tuple[IngestReport, float]]) -> None:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("release")
        for name in ("sections", "new or changed", "as before", "gone", "took"):
            table.add_column(name, justify="right")
        table.add_column("the ledger then")
        for version, (report, seconds) in reports.items():
            counts = [str(report.counts.get(name, 0) or "·") for name in COUNTED]
            revision = report.revision[report.revision.rindex("@") :]
            table.add_row(version, str(len(report.references)), *counts, f"{seconds:.2f} s", revision)
        self.out.print(table)
        self.out.print(Text("Pages are counted with their sections.", style="dim"))

    def index_today(self, verdicts: Sequence[Verdict], milliseconds: float, version: str) -> None:
        """How much of an index of `version` may still be used."""
        counts = Counter(verdict.reason or verdict.state for verdict in verdicts)
        fresh = sum(verdict.fresh for verdict in verdicts)
        line = Text(f"{len(verdicts)} sections of {version} in the index, one question, {milliseconds:.1f} ms: ")
        line.append(f"{fresh} fresh", "green")
        for reason in ("superseded", "revoked", "unsupported"):
            line.append(", ")
            line.append(f"{counts[reason]} {reason}", "red")
        self.out.print(line)

    def answer(self, number: int, question: str, found: Iterable[dict[str, Any]], guarded: Guarded) -> None:
        """What was found, in order, with the verdict of each."""
        self.out.print()
        self.out.print(Text.assemble((f"{number:2}. ", "dim"), (question, "bold")))
        verdicts = {id(item): verdict for item, verdict in guarded.withheld}
        for passage in found:
            verdict = verdicts.get(id(passage))
            self.out.print(_kept(passage) if verdict is None else self._withheld(passage, verdict))

    def told(self, stale: str | None, today: str | None) -> None:
        """What the model would have read, and what it reads instead."""
        if stale:
            self._quote("without the guard", stale, "red")
        if today:
            self._quote("today's section", today, "green")

    def _quote(self, who: str, text: str, style: str) -> None:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=21, no_wrap=True)
        table.add_column()
        table.add_row(Text(f"    {who}", style="dim"), Text(f"“{text}”", style=style))
        self.out.print(table)

    def _withheld(self, passage: dict[str, Any], verdict: Verdict) -> Text:
        why = f"      {verdict.reason}: {self._event(verdict)}"
        text = Text.assemble(("    ✗ ", "red"), _short(passage["key"]), (f"\n{why}", "yellow"), overflow="fold")
        if verdict.successor:
            text.append(self._fitting(why, f"→ {_short(verdict.successor)}"), "green")
        elif moved := self._history.moved(passage["key"]):
            text.append(self._fitting(why, f"(word for word in {_short(moved)} today)"), "dim")
        return text

    def _fitting(self, line: str, addition: str) -> str:
        """The addition behind the line if there is room, else below it."""
        return f" {addition}" if len(line) + len(addition) < self.out.width else f"\n      {addition}"

    def _event(self, verdict: Verdict) -> str:
        """The cause in words, with the entry that holds it."""
        words = {"superseded": "rewritten", "revoked": "section removed", "unsupported": "page removed"}
        release = self._history.release_of(verdict.cause) if verdict.cause else None
        place = f" in {release}" if release else ""
        return f"{words.get(verdict.reason or '', 'fell')}{place} by {verdict.cause}"

    def sum(self, found: int, kept: int, with_successor: int) -> None:
        withheld = found - kept
        text = Text(f"\nOf {found} passages found, {kept} reached the model; {withheld} were withheld, ")
        text.append(f"{with_successor} of them with the way to today's section, all with reason and cause.")
        self.out.print(text)

    def states(self, heading: str, verdicts: Sequence[Verdict]) -> None:
        self.out.print(Text(f"\n{heading}", style="bold"))
        for verdict in verdicts:
            mark, style = ("✓", "green") if verdict.fresh else ("✗", "red")
            line = Text.assemble((f"  {mark} ", style), f"{_short(verdict.ref):<36} ", (verdict.state, style))
            if verdict.reason:
                line.append(f" {verdict.reason}, cause {verdict.cause}")
            if verdict.successor:
                line.append(f"\n    → {_short(verdict.successor)}", "green")
            self.out.print(line)

    def change(self, before: EntryView, after: EntryView) -> None:
        """The section then and now."""
        self.out.print()
        for entry, style in ((before, "red"), (after, "green")):
            version = entry.ref.rpartition("@")[2]
            self._quote(f"@{version}, from {self._history.release_of(entry.id)}", _flat(entry), style)

    def chain(self, explanation: Explanation) -> None:
        """The path from the root cause to what it felled, one step a line."""
        self.out.print(Text(f"\nWhy {explanation.verdict.ref} is {explanation.verdict.reason}:", style="bold"))
        for depth, step in enumerate(explanation.path):
            self.out.print(Text("  " + "   " * depth).append_text(self._step(step)))

    def _step(self, step: PathStep) -> Text:
        entry = step.entry
        text = Text.assemble(
            (f"{entry.id} ", "cyan"), f"{entry.kind} ", (_short(entry.ref), "bold"), f" by {entry.actor}"
        )
        if step.reason is None:
            release = self._history.release_of(entry.id)
            return text.append(f", with {release}: this began it" if release else ": this began it", "yellow")
        return text.append(f": {step.reason}", "red")

    def remedies(self, remedies: Sequence[Remedy]) -> None:
        for remedy in remedies:
            word = (
                "needs repair" if remedy.needed else "lapsed: right when done, nothing to repair, not to be built upon"
            )
            self.out.print(Text.assemble("\n", (remedy.entry.ref, "bold"), " ", (word, "yellow")))

    def say(self, text: str, style: str = "") -> None:
        self.out.print(Text(text, style=style))


def _kept(passage: dict[str, Any]) -> Text:
    return Text.assemble(("    ✓ ", "green"), _short(passage["key"]), (" fresh", "green"))


def _short(ref: str) -> str:
    """Without the prefix that all have in common."""
    return ref.removeprefix(f"{PREFIX}/")


def _flat(entry: EntryView) -> str:
    return " ".join(entry.content["text"].split())
