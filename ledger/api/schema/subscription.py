"""What is told as it happens: one change a batch."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry import ID, Private

from ledger.api.schema.arguments import LedgerName, arg
from ledger.api.schema.desk import Desk, Operation
from ledger.api.schema.entries import Entry, told
from ledger.api.schema.words import DateTime, Kind
from ledger.model import change as model

Info = strawberry.Info[Operation, None]


@strawberry.type(description="An entry of the batch, and what it is about.")
class Mention:
    desk: Private[Desk]
    entry_id: ID = told("The entry, as `@57`.")
    kind: str = told("What it is.", Kind)
    ref: ID = told("The version it records, or the one it acts on: `pep/440@3`, or `@42` without key.")

    @strawberry.field(description="The entry.")
    async def entry(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.entry_id[1:]))
        return found


@strawberry.type(description="How many, and the first of them.")
class Mentions:
    count: int = told("How many.")
    first: list[Mention] = told("The first 100 of them.")


@strawberry.type(description="An edition that fell or revived.")
class Turn:
    desk: Private[Desk]
    entry_id: ID = told("Its newest version then, as `@42`.")
    ref: ID = told("How people name that.")
    cause_id: ID = told("The entry of this batch that did it.")

    @strawberry.field(description="Its newest version then.")
    async def entry(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.entry_id[1:]))
        return found

    @strawberry.field(description="The entry of this batch that did it.")
    async def cause(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.cause_id[1:]))
        return found


@strawberry.type(description="How many, and the first of them.")
class Turns:
    count: int = told("How many.")
    first: list[Turn] = told("The first 100 of them; of what one entry did, the first ten.")


@strawberry.type(
    description="What one batch did. What comes and goes within it stands both under `fell` and under `revived`."
)
class Change:
    revision: str = told("The end of the batch: `after` to go on from here.")
    recorded_at: DateTime = told("When it was recorded.")
    recorded: Mentions = told("New versions.")
    withdrawn: Mentions = told("What revocations act on.")
    reinstated: Mentions = told("What was lifted.")
    expired: Mentions = told("What has expired.")
    noted: Mentions = told("Verifications, added support, attempts.")
    fell: Turns = told("What stopped being valid.")
    revived: Turns = told("What is valid again.")


@strawberry.type(description="What is told as it happens.")
class Subscription:
    @strawberry.subscription(
        description="What each batch does, one change a batch, in order, without gap or repetition. Who falls too far "
        "behind is told so (`slow_reader`) and resumes after the revision he saw last."
    )
    async def changes(
        self,
        info: Info,
        ledger: LedgerName = "main",
        after: Annotated[str | None, arg("A revision: what came after it is told first. Else from now on.")] = None,
    ) -> AsyncGenerator[Change, None]:
        operation = info.context
        service = await operation.ledgers.get(ledger)
        async with contextlib.aclosing(service.changes(after)) as changes:
            async for change in changes:
                # Each change has a desk of its own: what it shows is as of then, and no budget is used up by others.
                yield shown_change(operation.another().new_desk(service), change)


def shown_change(desk: Desk, change: model.Change) -> Change:
    """What the schema shows of a change."""

    def mentions(of: model.Mentions) -> Mentions:
        first = [Mention(desk=desk, entry_id=ID(one.id), kind=one.kind, ref=ID(one.ref)) for one in of.first]
        return Mentions(count=of.count, first=first)

    def turns(of: model.Turns) -> Turns:
        first = [Turn(desk=desk, entry_id=ID(one.id), ref=ID(one.ref), cause_id=ID(one.cause)) for one in of.first]
        return Turns(count=of.count, first=first)

    return Change(
        revision=change.revision,
        recorded_at=DateTime(change.recorded_at),
        recorded=mentions(change.recorded),
        withdrawn=mentions(change.withdrawn),
        reinstated=mentions(change.reinstated),
        expired=mentions(change.expired),
        noted=mentions(change.noted),
        fell=turns(change.fell),
        revived=turns(change.revived),
    )
