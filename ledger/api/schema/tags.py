"""Tags as the schema shows them: revisions that have names."""

from __future__ import annotations

from typing import Annotated

import strawberry

from ledger.api.schema.arguments import arg
from ledger.api.schema.entries import told
from ledger.api.schema.results import Failure
from ledger.model import view

TagName = Annotated[str, arg("Lower-case letters, digits and `.` `_` `-`, at most 63, as of a ledger.")]
Named = Annotated[str | None, arg("A revision, or another tag of it; without, the head.")]


@strawberry.type(description="A name of a revision, for good: `tag:NAME` is taken wherever a revision is.")
class Tag:
    name: str = told("The name.")
    revision: str = told("The revision, such as `main@1042.9f3c1a2b`.")


@strawberry.type(description="What came of naming a revision.")
class Tagged:
    name: str = told("The name.")
    revision: str = told("The revision that has it.")
    created: bool = told("Whether it is new; else the revision had this name already.")


TagResult = Annotated[Tagged | Failure, strawberry.union("TagResult", description="The answer to `tag`.")]


def shown_tags(tags: list[view.NamedRevision]) -> list[Tag]:
    """What the schema shows of tags."""
    return [Tag(name=one.name, revision=one.revision) for one in tags]


def shown_tagged(tagged: view.Tagged) -> Tagged:
    """What the schema shows of one that was just given."""
    return Tagged(name=tagged.name, revision=tagged.revision, created=tagged.created)
