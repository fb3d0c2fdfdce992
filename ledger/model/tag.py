"""Tags: names given to revisions. Immutable, kept beside the log; `tag:NAME` is taken wherever a revision is."""

from __future__ import annotations

from typing import NamedTuple

from ledger.model.reference import check_tag

_PREFIX = "tag:"


class Tag(NamedTuple):
    """A name, and the entry that ends the revision it names, with its whole chain hash."""

    name: str
    seq: int
    hash: bytes


def names_tag(text: str) -> bool:
    """Whether the text is `tag:NAME`: no revision, and no moment, begins so."""
    return isinstance(text, str) and text.startswith(_PREFIX)


def tag_named(text: str, field: str) -> str:
    """The name in `tag:NAME`. Raises Malformed, naming the field it was given in."""
    return check_tag(text.removeprefix(_PREFIX), field)


def reference_to(name: str) -> str:
    """How a tag is named where a revision is taken."""
    return _PREFIX + name
