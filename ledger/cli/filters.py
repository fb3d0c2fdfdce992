"""Options that say which entries are looked for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from ledger.cli.options import Command
from ledger.model.entry import KINDS
from ledger.model.verdict import REASONS, STATES


def filtered(reason: str = "--reason") -> Callable[[Command], Command]:
    """The filters of `entries`; the function gets them by the names they have in Python. All that is given must fit.

    `reason` spells the one by the reason of a verdict, where that word means something else.
    """

    def given(function: Command) -> Command:
        @click.option(
            "--kind",
            "kinds",
            type=click.Choice(list(KINDS)),
            multiple=True,
            help="Only of this kind; may be repeated.",
        )
        @click.option("--state", type=click.Choice(STATES), help="Only records in this state now.")
        @click.option(reason, type=click.Choice(REASONS), help="Only records that are so for this reason.")
        @click.option("--key-prefix", metavar="TEXT", help="Only about keys that start so.")
        @click.option("--actor", metavar="NAME", help="Only by this actor.")
        @click.option("--about", metavar="REF", help="Only the versions of what REF names, and what happened to them.")
        @click.option("--resting-on", metavar="REF", help="Only records that rest on what REF names, directly or not.")
        @click.option("--current", is_flag=True, help="Only the current version of each key.")
        @click.option(
            "--recorded-since",
            "--since",
            metavar="TIME",
            help="Only recorded then or later, like 2026-01-31T09:30:00Z.",
        )
        @click.option("--recorded-before", "--until", metavar="TIME", help="Only recorded earlier.")
        @functools.wraps(function)
        def command(kinds: tuple[str, ...], **more: Any) -> int | None:
            return function(kinds=kinds or None, **more)

        return command

    return given
