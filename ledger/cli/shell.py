"""The group of commands, and what becomes of errors: one line on standard error and a number."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from ledger import __version__
from ledger.cli.interrupt import EXIT_INTERRUPTED, wants_json
from ledger.cli.planning import impact, withdraw
from ledger.cli.reading import READING
from ledger.cli.render import as_json_text, clean
from ledger.cli.serving import SERVING
from ledger.cli.tags import tag, tags
from ledger.cli.transfer import TRANSFER
from ledger.cli.writing import WRITING
from ledger.errors import FileTrouble, Interrupted, LedgerError, Usage

EXIT_ERROR = 2
EXIT_BROKEN_PIPE = 141
"""As the shell reports of a program that was stopped by SIGPIPE."""


SECTIONS = {
    "Look": (*READING, impact, tags),
    "Record": (*WRITING, withdraw, tag),
    "Whole ledgers": TRANSFER,
    "Service": SERVING,
}


ELSEWHERE = {
    "apply": "import",
    "compare": "diff --other NAME",
    "erase": "revoke --mode erased",
    "plan-withdrawal": "withdraw",
    "quarantine": "revoke --mode quarantined",
}
"""What is named so in the library or in our documents, and how the command line has it; click knows near misses."""


class Shell(click.Group):
    """Commands return their exit code; whatever they raise is told here and nowhere else."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **extra: Any) -> NoReturn:
        given = list(sys.argv[1:] if args is None else args)
        _take_any_text()
        extra["standalone_mode"] = False
        try:
            code = self._run(given, prog_name or "ledger", extra)
        except LedgerError as error:
            _tell(error, given)
            code = EXIT_INTERRUPTED if isinstance(error, Interrupted) else EXIT_ERROR
        sys.exit(code)

    def _run(self, args: list[str], prog_name: str, extra: dict[str, Any]) -> int:
        try:
            code = super().main(args, prog_name, **extra)
            sys.stdout.flush()
            return code if isinstance(code, int) else 0
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message(), err=True)
            return EXIT_ERROR
        except click.ClickException as error:
            raise _usage(error) from error
        except click.Abort as error:
            raise Interrupted("interrupted") from error
        except OSError as error:
            _drop_output()
            raise FileTrouble(f"cannot write the answer: {error.strerror}") from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(command.name or "", command.get_short_help_str()) for command in commands])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if there := ELSEWHERE.get(args[0].replace("_", "-")):
            raise click.UsageError(f"no such command {args[0]!r}; did you mean `{ctx.command_path} {there}`?", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # whoever read our output has had enough
            _drop_output()
            return EXIT_BROKEN_PIPE


@click.group(
    "ledger",
    cls=Shell,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Every command takes --help. REF is key, key@3, key@sha256:9f2c11aa or @42.",
)
@click.version_option(__version__, prog_name="ledger", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """A state ledger for AI agents: what rests on what, what still stands, and why not.

    Exit codes: 0 done (check: all fresh; audit: all is well), 1 not so, 2 an error, 130 interrupted.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        ctx.color = False


for section in SECTIONS.values():
    for command in section:
        cli.add_command(command)


def one_line(error: LedgerError, typed: Mapping[str, str]) -> str:
    """`line 17: field because: nothing is recorded under 'pep/9'; did you mean 'pep/8'? (not_found)`

    What was `typed` as an option is named so: `--because: nothing …`. A `note` among the details says how to go on.
    """
    details = error.details
    place = []
    if "line" in details:
        place.append(f"line {details['line']}")
    if "command" in details:
        place.append(f"command {details['command'] + 1} of the batch")
    told = ": ".join([*place, _naming(error, {} if place else typed)])
    if "note" in details:
        told += f"; {details['note']}"
    return f"{clean(told)} ({error.code})"


def _naming(error: LedgerError, typed: Mapping[str, str]) -> str:
    """The message with the field it is about in front, if its own words do not name it."""
    field, message = error.details.get("field"), error.message
    if not field:
        return message
    option = typed.get(field.partition(".")[0])
    if option and message.startswith(f"{field} "):  # because should be a list
        return option + message.removeprefix(field)
    if option is None and not message.startswith(f"{field}: ") and re.search(rf"\b{re.escape(field)}\b", message):
        return message
    return f"{option or f'field {field}'}: {message.removeprefix(f'{field}: ')}"


def _typed(command: click.Command | None, args: list[str]) -> dict[str, str]:
    """The options that were given, as they were, by the names of what they say."""
    given = {arg.partition("=")[0] for arg in args}
    params = command.params if command else []
    return {param.name or "": option for param in params for option in param.opts if option in given}


def _tell(error: LedgerError, args: list[str]) -> None:
    if wants_json(args):
        click.echo(as_json_text(error.as_dict(), pretty=False), err=True)
    else:
        told = one_line(error, _typed(cli.commands.get(args[0]) if args else None, args))
        click.echo(click.style("error: ", fg="red", bold=True) + told, err=True)


def _usage(error: click.ClickException) -> Usage:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    where = f"{context.command_path} --help" if context is not None else "ledger --help"
    return Usage(message[:1].lower() + message[1:], note=f"see `{where}`")


def _take_any_text() -> None:
    """What cannot be written in the terminal's encoding is written as escapes, not as an exception."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """What is still buffered has nowhere to go; Python would complain of it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
