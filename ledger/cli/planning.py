"""Commands that show what would happen, before it does."""

from __future__ import annotations

from typing import Any

import click

from ledger.cli.files import Source
from ledger.cli.options import Place, placed
from ledger.cli.render import impact_lines
from ledger.cli.writing import MODES
from ledger.errors import LedgerError, Usage
from ledger.model.canonical import parse_json
from ledger.model.impact import IMPACT_NAMES_MAX
from ledger.model.lines import check_atomic

_limit = click.option(
    "--limit",
    type=click.IntRange(min=0, max=IMPACT_NAMES_MAX),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many names in a list.",
)


@click.command(short_help="Show what a revocation would bring down.")
@click.argument("refs", nargs=-1, metavar="REF…")
@click.option("--mode", type=click.Choice(MODES), help="As of `revoke`.  [default: revoked]")
@click.option(
    "--file", metavar="FILE|-", help="Not a revocation, but a file of commands, as `import --atomic` takes it."
)
@_limit
@placed
def impact(place: Place, refs: tuple[str, ...], mode: str | None, file: str | None, limit: int) -> None:
    """Show what would fall if each REF were revoked, all at once; nothing is changed.

    With --file what its commands would do as one batch.
    """
    if (file is None) != bool(refs) or (file and mode):
        raise Usage("name what to revoke, REF… and --mode; or give commands with --file")
    commands = [{"op": "revoke", "target": ref, **({"mode": mode} if mode else {})} for ref in refs]
    numbers: list[int] = []
    if file is not None:
        numbers, commands = _commands_of(file)
    with place.reading() as ledger:
        try:
            found = ledger.impact(commands, limit=limit)
        except LedgerError as error:
            if numbers and "command" in error.details:
                error.at(line=numbers[error.details.pop("command")])
            raise
    place.answer(found.as_dict, lambda: impact_lines(found))


def _commands_of(file: str) -> tuple[list[int], list[Any]]:
    """The lines that hold a command, by number, and what they hold."""
    numbers: list[int] = []
    commands: list[Any] = []
    with Source(file) as source:
        for line in source:
            if not line.strip():
                continue
            try:
                commands.append(parse_json(line))
            except LedgerError as error:
                raise error.at(line=source.number) from error
            numbers.append(source.number)
            check_atomic(len(commands))
    return numbers, commands
