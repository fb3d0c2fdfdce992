"""`ledger serve`."""

from __future__ import annotations

import click

from ledger.addresses import without_password
from ledger.cli.render import clean


@click.command(short_help="Answer over HTTP.")
@click.option("--host", metavar="ADDRESS", help="Where to listen; another than 127.0.0.1 needs an API key.")
@click.option("--port", type=int, metavar="N", help="Port to listen on, 8321 by default; 0: a free one.")
@click.option("--store", metavar="ADDRESS", help="Where it is kept: sqlite:///file.db, bolt://host:7687, neo4j://host.")
def serve(host: str | None, port: int | None, store: str | None) -> None:
    """Answer over HTTP, until SIGTERM or Ctrl-C.

    Then no new request is taken, those under way are answered, and what is being recorded is recorded; at the second
    signal it ends at once. Settings come from the environment (LEDGER_API_KEY, LEDGER_HOST …; docs/operations.md has
    them all), and what is given here wins.
    """
    # A server takes half a second to import: no other command shall wait for it.
    from ledger.api.server import run
    from ledger.app import open_ledgers
    from ledger.settings import Settings

    settings = Settings.read(host=host, port=port, store=store)
    ledgers = open_ledgers(
        settings.store, max_lag_s=settings.max_lag_s, reach_s=settings.reach_s, limits=settings.writing
    )
    run(ledgers, settings, lambda url: click.echo(f"serving {clean(without_password(settings.store))} on {url}"))


SERVING = (serve,)
