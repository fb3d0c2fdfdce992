"""Commands that look and change nothing."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ledger.cli.files import read_whole
from ledger.cli.filters import filtered
from ledger.cli.options import Place, Seconds, placed
from ledger.cli.progress import Bar
from ledger.cli.render import (
    as_json_text,
    comparison_lines,
    count,
    diff_lines,
    entry_lines,
    explanation_lines,
    footer,
    history_lines,
    moment,
    remedy_lines,
    status_lines,
    tree_lines,
    verdict_lines,
)
from ledger.errors import Malformed, Usage
from ledger.model.change import CHANGE_FIRST_MAX
from ledger.model.view import LISTED_MAX, AuditReport, EntryPage, GraphSlice, Remediation

if TYPE_CHECKING:
    from ledger.cli.options import AnyLedger

EXIT_NOT_SO = 1


_at = click.option(
    "--at", metavar="WHEN", help="As of a past revision, its tag:NAME, or a moment like 2026-01-31T09:30:00Z."
)


def _revision(ledger: AnyLedger, at: str | None) -> str:
    return ledger.revision if at is None else ledger.check([], at=at).revision


@click.command(short_help="Say of references whether they are fresh.")
@click.argument("refs", nargs=-1, required=True, metavar="REF…|-")
@click.option(
    "--max-age",
    type=Seconds(),
    envvar="LEDGER_MAX_AGE",
    show_envvar=True,
    metavar="SECONDS",
    help="Count a dependency as fallen that was not verified since.",
)
@_at
@click.option("--at-least", metavar="TOKEN", help="As of this revision or later, like main@1042.9f3c1a2b.")
@placed
def check(place: Place, refs: tuple[str, ...], max_age: float | None, at: str | None, at_least: str | None) -> int:
    """Say of each REF whether it is fresh; `-` reads references from standard input, one a line.

    Exit 0: all are fresh. 1: some are stale or unknown. 2: an error.
    """
    asked = [ref for given in refs for ref in (_refs_from_input() if given == "-" else [given])]
    if not asked:
        raise Usage("no reference came on standard input; of nothing it cannot be said that all are fresh")
    with place.reading() as ledger:
        report = ledger.check(asked, max_age_s=max_age, at=at, at_least=at_least)
    tally = Counter(verdict.state for verdict in report.verdicts)
    said = ", ".join(f"{number:,} {state}" for state, number in tally.items())
    place.answer(
        report.as_dict,
        lambda: [*verdict_lines(report.verdicts), footer(report.revision, moment(report.clock), said)],
    )
    return EXIT_NOT_SO if report.withheld else 0


def _refs_from_input() -> list[str]:
    refs = []
    for number, line in enumerate(read_whole("-").splitlines(), start=1):
        try:
            refs.append(line.decode().strip())
        except UnicodeDecodeError as error:
            raise Malformed(f"not UTF-8: byte {error.start} is {line[error.start]:#04x}", line=number) from error
    return [ref for ref in refs if ref]


@click.command(short_help="Say why: the path from the root cause.")
@click.argument("ref")
@click.option(
    "--max-age",
    type=Seconds(),
    envvar="LEDGER_MAX_AGE",
    metavar="SECONDS",
    help="Count a dependency as fallen that was not verified since.",
)
@_at
@placed
def why(place: Place, ref: str, max_age: float | None, at: str | None) -> None:
    """Say why REF is what it is: the path from the root cause to it."""
    with place.reading() as ledger:
        explanation = ledger.why(ref, max_age_s=max_age, at=at)
    place.answer(explanation.as_dict, lambda: explanation_lines(explanation))


@click.command(short_help="All versions, and what happened to them.")
@click.argument("ref")
@_at
@placed
def history(place: Place, ref: str, at: str | None) -> None:
    """Show all versions of what REF names, all that happened to them, and the states that each edition went through."""
    with place.reading() as ledger:
        found = ledger.history(ref, at=at)
    place.answer(found.as_dict, lambda: history_lines(found))


@click.command(short_help="What is different between two pasts, or ledgers.")
@click.argument("from_", metavar="WHEN", required=False)
@click.argument("to", metavar="[WHEN]", required=False)
@click.option("--other", metavar="NAME", help="Compare with another ledger of this store, key by key.")
@click.option("--at", metavar="WHEN", help="With --other: this ledger as of a past.")
@click.option("--other-at", metavar="WHEN", help="With --other: the other one as of a past.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=LISTED_MAX),
    default=CHANGE_FIRST_MAX,
    show_default=True,
    metavar="N",
    help="At most so many of each list.",
)
@placed
def diff(
    place: Place,
    from_: str | None,
    to: str | None,
    other: str | None,
    at: str | None,
    other_at: str | None,
    limit: int,
) -> None:
    """Show what is different between two pasts, or since one: revisions, or moments like 2026-01-31T09:30:00Z.

    What was recorded, withdrawn and reinstated, and what fell and revived by that, or by time that passed.

    With --other: which keys only one of two ledgers has, and of which the content or the verdict is another.
    """
    if other is not None and from_ is not None:
        raise Usage("give WHEN, or --other with --at and --other-at")
    if other is None and (from_ is None or at is not None or other_at is not None):
        raise Usage("give WHEN to see what is different since then, or --other NAME")
    with place.reading() as ledger:
        if other is not None:
            with Bar("comparing", by_itself=True):
                compared = ledger.compare(other, at=at, other_at=other_at, limit=limit)
            place.answer(compared.as_dict, lambda: comparison_lines(compared))
        elif from_ is not None:
            with Bar("comparing", by_itself=True):
                found = ledger.diff(from_, to, limit=limit)
            place.answer(found.as_dict, lambda: diff_lines(found))


_depth = click.option("--depth", type=click.IntRange(min=0), metavar="N", help="At most so many steps away.")
_limit = click.option(
    "--limit",
    type=click.IntRange(min=1, max=1_000),
    default=200,
    show_default=True,
    metavar="N",
    help="At most so many nodes.",
)


@click.command(short_help="Draw what a reference rests on.")
@click.argument("ref")
@_depth
@_limit
@_at
@placed
def causes(place: Place, ref: str, depth: int | None, limit: int, at: str | None) -> None:
    """Draw what REF rests on, and what felled any of that."""
    with place.reading() as ledger:
        _draw(place, ledger.causes(ref, depth=depth, limit=limit, at=at), up=True)


@click.command(short_help="Draw what rests on a reference.")
@click.argument("ref")
@_depth
@_limit
@_at
@placed
def consequences(place: Place, ref: str, depth: int | None, limit: int, at: str | None) -> None:
    """Draw what rests on REF."""
    with place.reading() as ledger:
        _draw(place, ledger.consequences(ref, depth=depth, limit=limit, at=at), up=False)


def _draw(place: Place, graph: GraphSlice, *, up: bool) -> None:
    place.answer(graph.as_dict, lambda: tree_lines(graph, up=up))


@click.command(short_help="List entries in the order recorded.")
@filtered()
@click.option("--after", type=click.IntRange(min=0), default=0, metavar="N", help="Only entries after @N.")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=1_000_000_000),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@click.option("--content/--no-content", default=True, help="With what records say, or without.")
@_at
@placed
def entries(place: Place, limit: int, at: str | None, **wanted: Any) -> None:
    """List entries in the order they were recorded; all that is asked for must fit."""
    with place.reading() as ledger:
        found = ledger.entries(limit=limit + 1, at=at, **wanted)
        revision = _revision(ledger, at)
    more = len(found) > limit
    found = found[:limit]
    hint = f"more: --after {found[-1].seq}" if more else ""
    place.answer(
        lambda: EntryPage(revision, tuple(found), more).as_dict(),
        lambda: [*entry_lines(found), footer(revision, count(len(found), "entry", "entries"), hint)],
    )


@click.command(short_help="List mutations that lost their ground.")
@_at
@placed
def remediation(place: Place, at: str | None) -> None:
    """List executed mutations that lost their ground: those to repair, then those that only lapsed."""
    with place.reading() as ledger:
        remedies = ledger.remediation(at=at)
        revision = _revision(ledger, at)
    needed = sum(remedy.needed for remedy in remedies)
    place.answer(
        lambda: Remediation(revision, tuple(remedies)).as_dict(),
        lambda: [
            *remedy_lines(remedies),
            footer(revision, f"{needed:,} to repair, {len(remedies) - needed:,} lapsed"),
        ],
    )


@click.command(short_help="Head, full hash, lag and counts.")
@_at
@placed
def status(place: Place, at: str | None) -> None:
    """Show where the ledger stands: its head with the full hash, how long ago that was heard, and what it holds."""
    with place.reading() as ledger:
        found = ledger.status(at=at)
    place.answer(found.as_dict, lambda: status_lines(found, place.address))


@click.command(short_help="Compute everything again, and compare.")
@placed
def audit(place: Place) -> int:
    """Compute everything again from nothing and hold it against what the ledger says.

    Exit 0: all is well. 1: problems were found. 2: an error.
    """
    with place.reading() as ledger:
        report = _audited(ledger)
    lines = [
        click.style("ok", fg="green", bold=True) if report.ok else click.style("not ok", fg="red", bold=True),
        f"  chain     {count(report.entries, 'entry', 'entries')}, head {report.hash}",
        f"  contents  {report.contents:,} have their digest",
        f"  states    {count(report.states, 'verdict')} held against the laws",
    ]
    if report.shown_states is not None:
        lines.append(f"  shown     {count(report.shown_states, 'state')} on the store's nodes")
    lines += [click.style("problem: ", fg="red") + problem for problem in report.problems]
    place.answer(report.as_dict, lambda: [*lines, footer(report.revision)])
    return 0 if report.ok else EXIT_NOT_SO


def _audited(ledger: AnyLedger) -> AuditReport:
    with Bar("auditing", by_itself=True) as bar:
        return ledger.audit(progress=lambda step, done, total: bar.to(done, total=total, what=f"auditing the {step}"))


@click.command(short_help="The JSON Schema of a line of `import`.")
@placed
def schema(place: Place) -> None:
    """Print the JSON Schema of the interchange: what one line of `import` may be."""
    from ledger.model.command import interchange_schema

    click.echo(as_json_text(interchange_schema(), pretty=not place.as_json))


READING = (check, why, history, diff, causes, consequences, entries, remediation, status, audit, schema)
