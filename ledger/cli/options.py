"""What commands have in common: where the ledger is, who writes, and how the answer is wanted."""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ledger.addresses import without_password
from ledger.cli.progress import Bar
from ledger.cli.render import as_json_text, clean, print_json, print_lines
from ledger.errors import NoSuchDatabase, NoSuchLedger, Usage

if TYPE_CHECKING:
    from ledger.app import Ledger
    from ledger.client import LedgerClient

    AnyLedger = Ledger | LedgerClient

Command = Callable[..., int | None]
"""What a click command calls: it answers with its exit code, or nothing for 0."""


@dataclass(frozen=True, slots=True)
class Place:
    """A ledger as named on the command line, and the form its answers take."""

    store: str
    ledger: str
    as_json: bool
    api_key_file: str | None = None

    @property
    def is_service(self) -> bool:
        """Whether the store is kept by a service that is asked over HTTP."""
        return self.store.lower().startswith(("http://", "https://"))

    @property
    def address(self) -> str:
        """The store without its password, for people to see."""
        return without_password(self.store)

    @contextlib.contextmanager
    def reading(self) -> Iterator[AnyLedger]:
        """A ledger that is there; raises NoSuchLedger otherwise."""
        with self._opened(create=False) as ledger:
            yield ledger

    @contextlib.contextmanager
    def writing(self, *, dry_run: bool = False) -> Iterator[AnyLedger]:
        """A ledger that is made by the first write, which is said."""
        with self._opened(create=True, dry_run=dry_run) as ledger:
            was_empty = is_empty(ledger)
            try:
                yield ledger
            finally:
                if was_empty and not dry_run and not is_empty(ledger):
                    self._say_created()

    @contextlib.contextmanager
    def _opened(self, *, create: bool, dry_run: bool = False) -> Iterator[AnyLedger]:
        if self.is_service:
            with self._asked(create=create, dry_run=dry_run) as client:
                yield client
            return
        from ledger.app import Ledger  # takes a while to import, and a service, --help and --version need none

        with self._naming_the_store(), Bar("reading the log", unit="entries") as bar:
            ledger = Ledger.open(self.store, self.ledger, create=create, dry_run=dry_run, progress=bar.on)
        with ledger:
            yield ledger

    @contextlib.contextmanager
    def _asked(self, *, create: bool, dry_run: bool) -> Iterator[LedgerClient]:
        """The ledger of a running service."""
        from ledger.cli.remote import client_of  # httpx takes a while to import, and a file needs none

        if dry_run:
            raise Usage("a dry run needs the store itself; over HTTP every command records")
        with client_of(self.store, self.ledger, self.api_key_file) as client:
            with self._naming_the_store(), contextlib.ExitStack() as absent:
                if create:
                    absent.enter_context(contextlib.suppress(NoSuchLedger))
                client.check([])
            yield client

    @contextlib.contextmanager
    def _naming_the_store(self) -> Iterator[None]:
        """Who looks in the wrong place is helped most by hearing where that is."""
        try:
            yield
        except (NoSuchLedger, NoSuchDatabase) as error:
            error.details.setdefault("note", f"this is {self.address}; --store or LEDGER_STORE names another place")
            raise

    def _say_created(self) -> None:
        if self.as_json:
            said = as_json_text({"note": "created", "ledger": self.ledger, "store": self.address}, pretty=False)
        else:
            said = f"created ledger {self.ledger!r} in {clean(self.address)}"
        click.echo(said, err=True)

    def answer(self, data: Callable[[], Any], lines: Callable[[], list[str]]) -> None:
        """Print one or the other."""
        if self.as_json:
            print_json(data())
        else:
            print_lines(lines())


def is_empty(ledger: AnyLedger) -> bool:
    return ledger.revision.rpartition("@")[2].startswith("0.")


def placed(function: Command) -> Command:
    """Options of every command; the function gets a Place."""

    @click.option(
        "--store",
        envvar="LEDGER_STORE",
        default="sqlite:///ledger.db",
        show_default=True,
        show_envvar=True,
        metavar="ADDRESS",
        help="Where it is kept: sqlite:///file.db, bolt://host:7687, neo4j://host, http://host:8321 (a service).",
    )
    @click.option(
        "--ledger",
        envvar="LEDGER_LEDGER",
        default="main",
        show_default=True,
        show_envvar=True,
        metavar="NAME",
        help="Which of the ledgers kept there.",
    )
    @click.option(
        "--api-key-file",
        metavar="FILE",
        help="Holds the API key of a service; else LEDGER_API_KEY or LEDGER_API_KEY_FILE.",
    )
    @click.option("--json", "as_json", is_flag=True, envvar="LEDGER_JSON", help="Answer in JSON.")
    @functools.wraps(function)
    def command(store: str, ledger: str, as_json: bool, api_key_file: str | None, **given: Any) -> int | None:
        return function(Place(store, ledger, as_json, api_key_file), **given)

    return command


def signed(function: Command) -> Command:
    """Options of commands that record something: who, when, and the key that makes them safe to repeat."""

    @click.option("--actor", envvar="LEDGER_ACTOR", show_envvar=True, metavar="NAME", help="Who does this.")
    @click.option("--occurred-at", metavar="TIME", help="When it happened outside, like 2026-01-31T09:30:00Z.")
    @click.option(
        "--idempotency-key",
        metavar="KEY",
        help="The same command under the same key is answered, not repeated.",
    )
    @functools.wraps(function)
    def command(**given: Any) -> int | None:
        return function(**given)

    return command


class Seconds(click.ParamType[float]):
    """A span of time, zero or more."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            seconds = float(value)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            self.fail(f"{value!r} is not a number of seconds, zero or more", param, ctx)
        return seconds
