"""Commands that record one thing."""

from __future__ import annotations

from typing import Any

import click

from ledger.cli.files import read_whole
from ledger.cli.options import Place, placed, signed
from ledger.cli.render import result_lines
from ledger.errors import LedgerError, Malformed, Usage
from ledger.model.canonical import parse_json
from ledger.model.entry import RECORD_KINDS
from ledger.model.result import Result
from ledger.model.writing import KEEP

MODES = ("revoked", "wrong_from_birth", "quarantined", "erased")


@click.command(short_help="Record a version of something.")
@click.argument("content", required=False, metavar="[JSON|-]")
@click.option("--content-file", metavar="FILE", help="Take the content from a file instead.")
@click.option("--kind", required=True, type=click.Choice(RECORD_KINDS), help="What it is.")
@click.option("--key", metavar="KEY", help="The stable name of what it is about; a dependency must have one.")
@click.option(
    "--because",
    multiple=True,
    metavar="REF",
    help='A premise; repeated, all must stand. Alternatives: \'[["a","b"],["c"]]\'.',
)
@click.option("--cites", multiple=True, metavar="REF", help="Provenance: shown, never propagated. May be repeated.")
@click.option("--supersedes", multiple=True, metavar="REF", help="Another key that this replaces. May be repeated.")
@click.option("--amends", type=int, metavar="N", help="Join the edition of version N, which must be current.")
@click.option("--expects", type=int, metavar="N", help="Refuse unless version N is current; 0: there is none.")
@click.option("--restate", is_flag=True, help="Start a new edition although the content is the same.")
@click.option("--require-fresh", is_flag=True, help="Refuse if what it rests on does not stand.")
@click.option("--valid-until", metavar="TIME|none", help="When it expires; none removes a limit set before.")
@signed
@placed
def record(
    place: Place,
    content: str | None,
    content_file: str | None,
    because: tuple[str, ...],
    valid_until: str | None,
    **fields: Any,
) -> None:
    """Record what is believed, decided, approved, done or seen: a version of what --key is about.

    The content is any JSON, given as an argument, as a file, or on standard input (`-`):

      ledger record --kind dependency --key refund-limit '{"limit": 500}'
    """
    value = _content(content, content_file)
    limit = KEEP if valid_until is None else None if valid_until == "none" else valid_until
    with place.writing() as ledger:
        result = ledger.record(content=value, because=_justifications(because), valid_until=limit, **fields)
        _print(place, result)


def _content(text: str | None, file: str | None) -> Any:
    if (text is None) == (file is None):
        raise Usage("give the content once: as JSON, as `-` for standard input, or with --content-file")
    if file is None and text != "-":
        raw: str | bytes = text or ""
        hint = "" if (text or "")[:1] in '{["-0123456789' else "; a text goes in quotes: '\"like this\"'"
    else:
        hint, raw = "", read_whole(file or "-")
    try:
        return parse_json(raw)
    except Malformed as error:
        raise Malformed(f"content: {error.message}{hint}", field="content") from error
    except LedgerError as error:
        raise error.at(field="content") from error


def _justifications(given: tuple[str, ...]) -> Any:
    """One justification of all premises; or several, as JSON."""
    if not given:
        return []
    if not any(ref.startswith("[[") for ref in given):
        return [list(given)]
    if len(given) > 1:
        raise Malformed("alternatives are given in one --because, as a list of lists", field="because")
    try:
        return parse_json(given[0])  # its form is checked with the rest
    except Malformed as error:
        raise error.at(field="because") from error


@click.command(short_help="Withdraw; what rests on it falls.")
@click.argument("ref")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=MODES[0],
    show_default=True,
    help="Stood until now; never should have; is suspected; is to be gone.",
)
@click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")
@click.option("--effective-at", metavar="TIME", help="Until when it stood; only with mode revoked.")
@signed
@placed
def revoke(place: Place, ref: str, **fields: Any) -> None:
    """Withdraw what REF names; all that rests on it falls with it."""
    with place.writing() as ledger:
        _print(place, ledger.revoke(ref, **fields))


@click.command(short_help="Lift withdrawals.")
@click.argument("ref")
@click.option(
    "--lifts",
    multiple=True,
    metavar="@N",
    help="The withdrawal to lift, as @31 or by its idempotency key. May be repeated.",
)
@click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")
@signed
@placed
def reinstate(place: Place, ref: str, **fields: Any) -> None:
    """Lift withdrawals from what REF names: those named, or the only one that stands."""
    with place.writing() as ledger:
        _print(place, ledger.reinstate(ref, **fields))


@click.command(short_help="Say what was seen on looking again.")
@click.argument("ref")
@click.option("--digest", required=True, metavar="sha256:…", help="What was seen on looking again.")
@signed
@placed
def verify(place: Place, ref: str, digest: str, **fields: Any) -> None:
    """Say that somebody looked again: the same digest keeps REF young, another makes it diverged."""
    with place.writing() as ledger:
        _print(place, ledger.verify(ref, digest, **fields))


def _print(place: Place, result: Result) -> None:
    place.answer(result.as_dict, lambda: result_lines(result))


WRITING = (record, revoke, reinstate, verify)
