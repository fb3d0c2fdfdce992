"""How answers look: aligned lines for people (colour on a terminal only), JSON for programs."""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import click
import orjson

from ledger.model.impact import Extent, Impact
from ledger.model.result import Effect, Result
from ledger.model.verdict import Verdict
from ledger.model.view import (
    EntryView,
    Explanation,
    GraphSlice,
    Happening,
    History,
    Interval,
    KeyPair,
    LedgerComparison,
    LedgerDiff,
    Node,
    Remedy,
    Status,
    Turned,
)
from ledger.model.withdrawal import WithdrawalPlan, Withdrawn

COLOURS = {"fresh": "green", "stale": "red", "unknown": "yellow"}
CELL_CHARACTERS_MAX = 200
"""Of a cell in the middle of a line; the last one goes to the edge of the terminal."""

Cell = str | tuple[str, str]
"""Text, or text and its colour."""


# -- text ----------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """The text on one line, with whatever a terminal might act on written as escapes."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def as_json_text(data: Any, *, pretty: bool | None = None) -> str:
    """JSON on one line for programs, indented for a person at a terminal."""
    pretty = sys.stdout.isatty() if pretty is None else pretty
    try:
        return orjson.dumps(data, option=orjson.OPT_INDENT_2 if pretty else 0).decode()
    except TypeError:  # half characters from a command line that is not UTF-8
        return json.dumps(data, indent=2 if pretty else None)


def print_json(data: Any) -> None:
    click.echo(as_json_text(data))


def print_lines(lines: Iterable[str]) -> None:
    if text := "\n".join(lines):
        click.echo(text)


def table(rows: Sequence[Sequence[Cell]], indent: str = "") -> list[str]:
    """Rows as aligned lines; columns without text are left out, the last one ends at the terminal's edge."""
    plain = [[_text(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(*plain, strict=True)]
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    lines = []
    for row, texts in zip(rows, plain, strict=True):
        parts, used = [], _width(indent)
        for number, (cell, text, width) in enumerate(zip(row, texts, widths, strict=True)):
            if not width:
                continue
            if number == len(widths) - 1 and edge:
                text = _cut(text, max(edge - used, 20))
            colour = cell[1] if isinstance(cell, tuple) else ""
            parts.append(_painted(text, colour) + " " * (width - _width(text)))
            used += width + 2
        lines.append(indent + "  ".join(parts).rstrip())
    return lines


def _painted(text: str, colour: str | None) -> str:
    if not colour or not text:
        return text
    return click.style(text, dim=True) if colour == "dim" else click.style(text, fg=colour)


def _text(cell: Cell) -> str:
    return _cut(clean(cell[0] if isinstance(cell, tuple) else cell), CELL_CHARACTERS_MAX)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(one) in "WF" for one in text)
    return len(text) + wide - sum(unicodedata.combining(one) > 0 for one in text)


def moment(text: str | None) -> str:
    """A time to the second; it is always UTC."""
    return f"{text[:19].replace('T', ' ')}Z" if text else ""


def count(number: int, what: str, plural: str | None = None) -> str:
    """`1 entry`, `17,083 entries`."""
    return f"{number:,} {what if number == 1 else plural or what + 's'}"


def footer(*parts: str) -> str:
    return click.style("  ".join(part for part in parts if part), dim=True)


# -- verdicts ------------------------------------------------------------------------------------------------


def state_cells(state: str | None, reason: str | None) -> tuple[Cell, Cell]:
    colour = COLOURS.get(state or "", "")
    return (state or "", colour), (reason or "", colour)


def verdict_cells(verdict: Verdict) -> list[Cell]:
    """`stale  superseded  docs/config@1  by @57  -> use docs/config@4`"""
    way = f"-> use {verdict.successor}" if verdict.successor else ""
    cause = f"by {verdict.cause}" if verdict.cause else ""
    return [*state_cells(verdict.state, verdict.reason), verdict.ref, cause, way]


def verdict_lines(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [verdict_cells(verdict) for verdict in verdicts]
    # The last cells belong together: they are a sentence, not columns.
    return table([[*row[:3], " ".join(_text(cell) for cell in row[3:]).strip()] for row in rows])


def explanation_lines(explanation: Explanation) -> list[str]:
    verdict = explanation.verdict
    lines = verdict_lines([verdict])
    rows = []
    path = explanation.path
    # What it leads back to may be the entry itself, such as that which set its limit.
    for step in path[1:] if len(path) > 1 and path[0].entry.seq == path[1].entry.seq else path:
        state, reason = state_cells("stale" if step.reason else None, step.reason)
        rows.append([*_entry_cells(step.entry), state, reason, detail(step.entry)])
    return [*lines, *table(rows, "  "), footer(explanation.revision, moment(explanation.clock))]


# -- entries -------------------------------------------------------------------------------------------------


def entry_lines(entries: Sequence[EntryView], indent: str = "") -> list[str]:
    rows = []
    for entry in entries:
        verdict = entry.verdict
        state, reason = state_cells(verdict.state if verdict else None, verdict.reason if verdict else None)
        rows.append([*_entry_cells(entry), state, reason, entry.actor or "", detail(entry)])
    return table(rows, indent)


def history_lines(found: History) -> list[str]:
    """The entries, and below them for each edition since when it was in which state, and by what."""
    lines = entry_lines(found.entries)
    hidden = found.editions.count - len(found.editions.last)
    lines += [footer(f"the states of {count(hidden, 'earlier edition')} are not shown")] if hidden else []
    for edition in found.editions.last:
        hidden = edition.states.count - len(edition.states.last)
        lines += ["", click.style(clean(edition.ref), bold=True)]
        lines += [footer(f"  {count(hidden, 'earlier state')} not shown")] if hidden else []
        lines += table([_interval_cells(one) for one in edition.states.last], "  ")
    return [*lines, footer(found.revision, moment(found.clock))]


def _interval_cells(interval: Interval) -> list[Cell]:
    """`2026-01-31 09:30:00Z  stale  superseded  by @57 dependency`, and the cause where that is another entry."""
    event = interval.since
    by = f"by {event.entry} {event.kind}" if event.entry else "by time"
    cause = f"cause {interval.cause}" if interval.cause not in (None, event.entry) else ""
    return [(moment(event.at), "dim"), *state_cells(interval.state, interval.reason), by, cause]


def diff_lines(found: LedgerDiff) -> list[str]:
    """What is different, list by list: entries as they were recorded, editions with what made them fall or revive."""
    lines = []
    for name, listed in (
        ("recorded", found.recorded),
        ("amended", found.amended),
        ("withdrawn", found.withdrawn),
        ("reinstated", found.reinstated),
        ("noted", found.noted),
    ):
        lines += _section(name, listed.count, entry_lines(listed.first, "  "))
    for name, turned in (("fell", found.fallen), ("revived", found.revived)):
        lines += _section(name, turned.count, table([_turned_cells(one) for one in turned.first], "  "))
    said = [] if lines else ["nothing is different"]
    return [*said, *lines, footer(f"{found.since.revision} -> {found.to.revision}", moment(found.to.clock))]


def comparison_lines(found: LedgerComparison) -> list[str]:
    """Which keys are different: what each is here -> there."""
    here, there = (one.revision.partition("@")[0] for one in (found.here, found.there))
    lines = []
    for name, pairs, cells in (
        (f"only in {here}", found.only_here, _standing_cells),
        (f"only in {there}", found.only_there, _standing_cells),
        ("other content", found.content, _content_cells),
        ("other verdict", found.verdict, _verdict_pair_cells),
    ):
        lines += _section(name, pairs.count, table([cells(pair) for pair in pairs.first], "  "))
    same = f"{count(found.same, 'key')} the same"
    return [*lines, footer(f"{found.here.revision} -> {found.there.revision}", same)]


def _standing_cells(pair: KeyPair) -> list[Cell]:
    standing = pair.here or pair.there
    assert standing is not None
    return [standing.ref, *state_cells(standing.state, standing.reason)]


def _content_cells(pair: KeyPair) -> list[Cell]:
    assert pair.here is not None
    assert pair.there is not None
    return [pair.here.ref, pair.here.digest[:15], "->", pair.there.ref, pair.there.digest[:15]]


def _verdict_pair_cells(pair: KeyPair) -> list[Cell]:
    assert pair.here is not None
    assert pair.there is not None
    here, there = (state_cells(one.state, one.reason) for one in (pair.here, pair.there))
    return [pair.here.ref, *here, "->", pair.there.ref, *there]


def _section(name: str, number: int, lines: Sequence[str]) -> list[str]:
    """A heading with how many there are, and the lines of those that are shown."""
    hidden = number - len(lines)
    more = [footer(f"  {hidden:,} more not shown (--limit)")] if hidden else []
    return [f"{click.style(name, bold=True)}  {number:,}", *lines, *more] if number else []


def _turned_cells(turned: Turned) -> list[Cell]:
    verdict = turned.verdict
    way = f"-> use {verdict.successor}" if verdict.successor else ""
    return [*state_cells(verdict.state, verdict.reason), verdict.ref, happening(turned.event), way]


def happening(event: Happening) -> str:
    """`by @57 revocation, 2026-01-31 09:30:00Z`, or by time that passed."""
    return f"by {event.entry} {event.kind}, {moment(event.at)}" if event.entry else f"by time, {moment(event.at)}"


def _entry_cells(entry: EntryView) -> list[Cell]:
    """What names it, and when it happened: as it was told, else when it was recorded."""
    about = entry.ref if not entry.targets else _some(entry.targets)
    return [
        entry.id,
        (moment(entry.occurred_at or entry.recorded_at), "dim"),
        entry.kind,
        "" if about == entry.id else about,
    ]


def detail(entry: EntryView) -> str:
    """What an entry says, in one line."""
    parts = []
    if entry.mode:
        parts.append(entry.mode + (f" as of {moment(entry.effective_at)}" if entry.effective_at else ""))
    if entry.lifts:
        parts.append(f"lifts {_some(entry.lifts)}")
    if entry.reason:
        parts.append(f'"{entry.reason}"')
    if entry.amends:
        parts.append(f"amends {entry.amends}")
    if entry.because:
        parts.append("because " + " or ".join(" and ".join(premises) for premises in entry.because))
    if entry.supersedes:
        parts.append(f"supersedes {_some(entry.supersedes)}")
    if entry.cites:
        parts.append(f"cites {_some(entry.cites)}")
    if entry.valid_until:
        parts.append(f"valid until {moment(entry.valid_until)}")
    if entry.kind == "attempt":
        parts += entry.outcomes
    if entry.content is not None:
        parts.append(orjson.dumps(entry.content).decode())
    return "; ".join(parts)


def _some(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def remedy_lines(remedies: Sequence[Remedy]) -> list[str]:
    rows: list[list[Cell]] = []
    for remedy in remedies:
        what = ("repair", "red") if remedy.needed else ("lapsed", "yellow")
        rows.append([what, *_entry_cells(remedy.entry), f"by {_some(remedy.causes)}", detail(remedy.entry)])
    return table(rows)


# -- the graph -----------------------------------------------------------------------------------------------


def tree_lines(graph: GraphSlice, *, up: bool) -> list[str]:
    """The slice as an indented tree; what was drawn before is named again, not drawn again."""
    nodes = {node.id: node for node in graph.nodes}
    below: dict[str, list[tuple[str, str]]] = {}
    for edge in graph.edges:
        # An event hangs under what it felled, in either direction.
        upwards = up and edge.type == "BECAUSE"
        parent, child = (edge.source, edge.target) if upwards else (edge.target, edge.source)
        if parent in nodes and child in nodes:
            below.setdefault(parent, []).append((edge.type, child))
    lines: list[str] = []
    drawn: set[str] = set()
    waiting = [("", "", "BECAUSE", graph.nodes[0].id)]
    while waiting:
        lead, branch, kind, at = waiting.pop()
        again = at in drawn and at in below
        lines.append(lead + branch + _node_text(nodes[at], kind) + ("  (see above)" if again else ""))
        if at in drawn:
            continue
        drawn.add(at)
        inner = lead + {"": "", "├─ ": "│  ", "└─ ": "   "}[branch]
        children = sorted(below.get(at, []), key=lambda child: int(child[1][1:]))  # as they were recorded
        for number, (relation, child) in reversed(list(enumerate(children, start=1))):
            waiting.append((inner, "└─ " if number == len(children) else "├─ ", relation, child))
    hidden = f"{graph.hidden:,} more not shown (--depth, --limit)" if graph.hidden else ""
    return [*lines, footer(graph.revision, hidden)]


def _node_text(node: Node, edge: str) -> str:
    if edge != "BECAUSE":
        verb = {"REVOKES": "withdrawn", "SUPERSEDES": "superseded"}.get(edge, edge.lower())
        name = f" {node.ref}" if node.ref != node.id else ""
        return _painted(f"{verb} by {node.id}{clean(name)} ({node.kind})", "dim")
    state = _painted(" ".join(filter(None, (node.state, node.reason))), COLOURS.get(node.state or ""))
    number = "" if node.ref == node.id else "  " + _painted(node.id, "dim")
    return f"{clean(node.ref)}{number}  {node.kind}  {state}".rstrip()


# -- answers to writes ---------------------------------------------------------------------------------------


def result_lines(result: Result) -> list[str]:
    verdict = result.verdict
    said = click.style(result.outcome, bold=True) + (" (answered before)" if result.replayed else "")
    about = f"  {clean(result.ref)}" if result.ref != result.entry else ""
    lines = [f"{said}  {result.entry}{about}  {_state_text(verdict)}"]
    if result.stands:
        lines.append(f"  against it stands {_some(result.stands)}; `ledger reinstate` lifts a withdrawal")
    for name, effect in (("fell", result.fell), ("revived", result.revived)):
        if effect.count:
            lines.append(f"  {name} {effect_text(effect)}")
    return [*lines, footer(result.revision)]


def effect_text(effect: Effect) -> str:
    names = ", ".join(map(clean, effect.first))
    more = effect.count - len(effect.first)
    if not names:
        return f"{effect.count:,}"
    return f"{effect.count:,}: {names}" + (f" and {more:,} more" if more else "")


def plan_lines(plan: WithdrawalPlan) -> list[str]:
    """What would be withdrawn, and what that would do; last how to do it."""
    if not plan.count:
        return ["nothing to withdraw", footer(plan.impact.revision)]
    lines = [f"would withdraw {plan.count:,} as {plan.asked.mode}: {_kinds(plan.kinds)}"]
    lines += [*(f"  {line}" for line in entry_lines(plan.first)), *_more(plan.count, len(plan.first))]
    how = f"nothing was changed; do it: --plan {plan.digest}"
    return [*lines, *_impact(plan.impact), footer(plan.impact.revision, how)]


def withdrawn_lines(done: Withdrawn) -> list[str]:
    """What a withdrawal did."""
    again = " (answered before)" if done.replayed else ""
    return [
        f"{click.style('withdrawn', bold=True)} {done.count:,}{again}, fell {done.fell.count:,}",
        footer(done.revision),
    ]


def impact_lines(impact: Impact) -> list[str]:
    """What would fall and revive, with how many of each kind, and what would have to be repaired."""
    lines = _impact(impact) or ["nothing would fall or revive"]
    return [*lines, footer(impact.revision, "nothing was changed")]


def _impact(impact: Impact) -> list[str]:
    lines: list[str] = []
    for what, extent, colour in (("fall", impact.fell, "red"), ("revive", impact.revived, "green")):
        if extent.count:
            lines += [f"would {_painted(what, colour)} {extent.count:,}: {_kinds(extent.kinds)}", *_listed(extent)]
    if impact.remediation.count:
        lines += [f"would need {_painted('repair', 'red')} {impact.remediation.count:,}", *_listed(impact.remediation)]
    return lines


def _kinds(kinds: dict[str, int]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())


def _listed(extent: Extent | Effect) -> list[str]:
    return [*(f"  {clean(name)}" for name in extent.first), *_more(extent.count, len(extent.first))]


def _more(count: int, shown: int) -> list[str]:
    """How many a list leaves out; of a list that shows none (`--limit 0`) its head has told the number."""
    return [f"  and {count - shown:,} more"] if 0 < shown < count else []


def _state_text(verdict: Verdict) -> str:
    text = _painted(" ".join(filter(None, (verdict.state, verdict.reason))), COLOURS.get(verdict.state))
    cause = f" by {verdict.cause}" if verdict.cause else ""
    return text + cause + (f" -> use {clean(verdict.successor)}" if verdict.successor else "")


# -- status --------------------------------------------------------------------------------------------------


def status_lines(status: Status, address: str) -> list[str]:
    rows: list[list[Cell]] = [
        ["ledger", status.ledger],
        ["store", address],
        ["revision", status.revision],
        ["hash", status.hash],
        ["recorded", moment(status.recorded_at)],
        ["lag", f"{status.lag_s:g} s"],
        ["entries", f"{status.head:,}"],
    ]
    if status.state_seq is not None:
        lag = status.head - status.state_seq
        rows.append(
            [
                "shown",
                f"states up to @{status.state_seq}" + (f", {count(lag, 'entry', 'entries')} behind" if lag else ""),
            ]
        )
    lines = table(rows)
    lines += ["", "entries by kind", *_tally(status.kinds)]
    return [*lines, "", "keys by state of their current version", *_tally(status.states)]


def _tally(counts: dict[str, int]) -> list[str]:
    rows: list[list[Cell]] = []
    width = max((len(f"{number:,}") for number in counts.values()), default=0)
    for name, number in counts.items():
        rows.append([f"{number:,}".rjust(width), (name, COLOURS.get(name.split()[0], ""))])
    return table(rows, "  ")
