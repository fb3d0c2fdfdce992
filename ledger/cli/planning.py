"""Commands that show what would happen, before it does."""

from __future__ import annotations

from typing import Any

import click

from ledger.cli.files import Source
from ledger.cli.filters import filtered
from ledger.cli.options import Place, placed
from ledger.cli.progress import Bar
from ledger.cli.render import impact_lines, plan_lines, print_lines, withdrawn_lines
from ledger.cli.writing import MODES
from ledger.errors import LedgerError, Usage
from ledger.model.canonical import parse_json
from ledger.model.impact import IMPACT_NAMES_MAX
from ledger.model.lines import check_atomic
from ledger.model.withdrawal import check_plan

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
            with Bar("looking ahead", by_itself=True):
                found = ledger.impact(commands, limit=limit)
        except LedgerError as error:
            if numbers and "command" in error.details:
                error.at(line=numbers[error.details.pop("command")])
            raise
    place.answer(found.as_dict, lambda: impact_lines(found))


@click.command(short_help="Withdraw all that fits a filter: plan, then do.")
@filtered("--state-reason")
@click.option(
    "--mode",
    type=click.Choice(MODES),
    default=MODES[0],
    show_default=True,
    help="Stood until now; never should have; is suspected; is to be gone.",
)
@click.option("--reason", metavar="TEXT", help="Why, for whoever asks.")
@click.option("--by", envvar="LEDGER_ACTOR", show_envvar=True, metavar="NAME", help="Who withdraws.")
@click.option("--yes", is_flag=True, help="Do it, once it is shown.")
@click.option("--plan", metavar="DIGEST", help="Do it if it still is what was shown with this digest.")
@click.option("--idempotency-key", metavar="KEY", help="With --plan: the same again is answered, not repeated.")
@_limit
@placed
def withdraw(place: Place, yes: bool, plan: str | None, idempotency_key: str | None, limit: int, **asked: Any) -> None:
    """Show what a withdrawal of all that fits would withdraw, and what would fall with it; nothing is changed.

    The filters are those of `entries`; --actor is who recorded what is to be withdrawn. With --yes, or with
    --plan and the digest that was shown, it is done: all or nothing, and only if it does what was shown.
    """
    if plan is not None:
        check_plan(plan)
    elif idempotency_key is not None:  # another plan, as there is once it is done, is another command
        raise Usage("--idempotency-key needs --plan: it stands for that withdrawal alone")
    with place.reading() as ledger:
        with Bar("planning the withdrawal", by_itself=True):
            planned = ledger.plan_withdrawal(limit=limit, **asked)
        if not (yes or plan):
            place.answer(planned.as_dict, lambda: plan_lines(planned))
            return
        meant = planned if plan is None else planned.with_digest(plan)
        if not place.as_json and meant == planned:
            print_lines(plan_lines(planned)[:-1])
        with Bar("withdrawing", by_itself=True):
            done = ledger.withdraw(meant, idempotency_key=idempotency_key)
    place.answer(done.as_dict, lambda: withdrawn_lines(done))


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
