"""Whole ledgers: import, export, restore, and the store they are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ledger.cli.files import Source, target
from ledger.cli.options import Place, placed
from ledger.cli.progress import Bar
from ledger.cli.render import count, footer, table
from ledger.errors import Interrupted, LedgerError, Malformed, NoSuchLedger, Usage
from ledger.model.view import Restored

if TYPE_CHECKING:
    from ledger.cli.options import AnyLedger


@click.command("import", short_help="Apply a file of commands.")
@click.argument("file", metavar="FILE|-")
@click.option("--atomic", is_flag=True, help="All lines as one batch, all or none; at most 10,000.")
@click.option("--dry-run", is_flag=True, help="Judge every line on top of those before it; record nothing.")
@placed
def import_(place: Place, file: str, atomic: bool, dry_run: bool) -> None:
    """Apply a file of commands, one a line (JSON Lines, also gzipped); see `ledger schema`.

    It stops at the first error and names its line. What was recorded before that stays, and running the
    same import again completes it and repeats nothing; so does it after Ctrl-C.
    """
    with Source(file) as source, place.writing(dry_run=dry_run) as ledger:
        before = ledger.revision
        reading = _Reading(source, "judging" if dry_run else "importing")
        with source.stopped_by_interrupt(), reading.bar:
            try:
                report = ledger.import_lines(source, atomic=atomic, progress=reading.landed)
            except LedgerError as error:
                raise reading.told(error, keeps=not (atomic or dry_run)) from error
        rows = [[f"{number:,}".rjust(9), outcome] for outcome, number in report.outcomes.items()]
        if report.replayed:
            rows.append([f"{report.replayed:,}".rjust(9), "replayed (recorded by an earlier import)"])
        verb = "would import" if dry_run else "imported"
        revision = before if dry_run else report.revision
        place.answer(
            lambda: report.as_dict() | ({"revision": before, "dry_run": True} if dry_run else {}),
            lambda: [f"{verb} {count(report.lines, 'command')}", *table(rows), footer(revision)],
        )


@click.command(short_help="Bring back a verbatim log.")
@click.argument("file", metavar="FILE|-")
@placed
def restore(place: Place, file: str) -> None:
    """Bring back the verbatim log of `export --entries`, verifying every hash: into an empty ledger, or into one that
    holds its beginning, which then goes on as the log does."""
    with Source(file) as source, place.writing() as ledger:
        reading, before = _Reading(source, "restoring"), _entries_in(ledger)
        with source.stopped_by_interrupt(), reading.bar:
            try:
                head = ledger.restore(source, progress=reading.landed)
            except LedgerError as error:
                raise reading.told(error) from error
        revision = ledger.revision
        there = f", of which {before:,} were there" if before else ""
        place.answer(
            lambda: Restored.upto(head, revision).as_dict(),
            lambda: [
                f"restored {count(head.seq, 'entry', 'entries')}{there}",
                f"hash {head.hash.hex()}",
                footer(revision),
            ],
        )


@click.command(short_help="Write the ledger as commands, or verbatim.")
@click.option("--entries", is_flag=True, help="The verbatim log with times and hashes, for `restore`.")
@click.option(
    "-o",
    "--output",
    default="-",
    metavar="FILE",
    help="Write to a file, which appears when it is whole (.gz: compressed).",
)
@placed
def export(place: Place, entries: bool, output: str) -> None:
    """Write the ledger as commands, one a line, that make the same ledger again by `import`."""
    lines = 0
    with place.reading() as ledger, target(output) as out, Bar("exporting", unit="lines") as bar:
        for line in ledger.export(entries=entries):
            out.write(line)
            lines += 1
            bar.to(lines)
        out.flush()
        revision = ledger.revision
    if output != "-":
        place.answer(
            lambda: {"revision": revision, "lines": lines, "file": output},
            lambda: [f"wrote {count(lines, 'line')} to {output}", footer(revision)],
        )


@click.command(short_help="Bring a store to this version.")
@placed
def migrate(place: Place) -> None:
    """Bring a store to the schema of this version."""
    if place.is_service:
        raise Usage(f"a service brings its store to its own version when it starts; {place.address} needs no migrate")
    import asyncio

    from ledger.app import migrate as migrate_store

    found, schema = asyncio.run(migrate_store(place.store))
    place.answer(
        lambda: {"store": place.address, "found": found, "schema": schema},
        lambda: [f"{place.address} {_migrated(found, schema)}"],
    )


def _migrated(found: int | None, schema: int | None) -> str:
    if schema is None:
        return "needs no preparation"
    if found is None:
        return "is not there yet; the first write makes it"
    if found == schema:
        return f"is at this version already (schema {schema})"
    return f"was prepared (schema {schema})" if found == 0 else f"was brought from schema {found} to {schema}"


def _entries_in(ledger: AnyLedger) -> int:
    """How many a ledger has. Over HTTP there is none before the first write."""
    try:
        return ledger.status().head
    except NoSuchLedger:
        return 0


class _Reading:
    """How far a file has come."""

    def __init__(self, source: Source, what: str) -> None:
        self.source = source
        self.done = 0
        self.commands = 0
        self.size = source.size_bytes
        self.bar = Bar(what, self.size, unit="lines" if self.size is None else "bytes")

    def landed(self, commands: int) -> None:
        """All that was read so far is recorded."""
        self.done = self.source.number
        self.commands += commands
        self.bar.to(self.source.number if self.size is None else self.source.position_bytes)

    def told(self, error: LedgerError, *, keeps: bool | None = None) -> LedgerError:
        """The same error, with what it left behind (`keeps`: the lines before it) and the way on."""
        line = error.details.get("line")
        if isinstance(error, Malformed) and line == self.source.number and self.source.seems_cut:
            error.message += f"; {self.source.name} ends within this line, as if it was cut"
        if keeps is not None:
            done = (self.done if line is None else line - 1) if keeps and self.commands else 0
            error.details["recorded_lines"] = done
            error.details["note"] = _left_behind(done, isinstance(error, Interrupted))
        elif isinstance(error, Interrupted):
            error.details["note"] = "running it again completes it"
        return error


def _left_behind(lines: int, interrupted: bool) -> str:
    if not lines:
        return "nothing of it is recorded"
    again = "run it again" if interrupted else "put that right and run it again"
    told = "line 1 is recorded and stays" if lines == 1 else f"lines 1 to {lines:,} are recorded and stay"
    return f"{told}; {again} to complete it"


TRANSFER = (import_, export, restore, migrate)
