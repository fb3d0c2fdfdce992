"""Names of revisions: given once, and used as `tag:NAME` wherever a revision is."""

from __future__ import annotations

import click

from ledger.cli.options import Place, placed
from ledger.cli.render import count, footer, table
from ledger.model.view import Tags


@click.command(short_help="Name a revision, for good.")
@click.argument("name")
@click.argument("revision", required=False, metavar="[REV]")
@placed
def tag(place: Place, name: str, revision: str | None) -> None:
    """Give REV (without: the head) a NAME, for good; `tag:NAME` is taken wherever a revision is.

    The same again is fine. A NAME that another revision has is refused.
    """
    with place.reading() as ledger:
        tagged = ledger.tag(name, revision)
    said = "tagged" if tagged.created else "tagged already"
    place.answer(tagged.as_dict, lambda: [f"{said}  {tagged.name}", footer(tagged.revision)])


@click.command(short_help="List the revisions that have names.")
@placed
def tags(place: Place) -> None:
    """List the revisions that have names, sorted by them."""
    with place.reading() as ledger:
        found = ledger.tags()
        revision = ledger.revision
    place.answer(
        lambda: Tags(revision, tuple(found)).as_dict(),
        lambda: [*table([[one.name, one.revision] for one in found]), footer(revision, count(len(found), "tag"))],
    )
