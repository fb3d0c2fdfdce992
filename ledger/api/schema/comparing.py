"""Differences: of two pasts of a ledger, of two ledgers; and the states that something went through."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, Private

from ledger.api.schema.arguments import At, LedgerName, Ref, arg
from ledger.api.schema.desk import Desk, Operation
from ledger.api.schema.entries import Entry, RecordEntry, Verdict, shown_verdict, told
from ledger.api.schema.limits import page_size
from ledger.api.schema.words import DateTime, Kind, Reason, State
from ledger.model import view

Info = strawberry.Info[Operation, None]

Last = Annotated[int | None, arg("How many at most, and 100: the last of them.")]
First = Annotated[int | None, arg("How many of each list at most; the server has a default and a limit.")]


@strawberry.type(description="A past, and the moment as of which it is seen.")
class AsOf:
    revision: str = told("The revision.")
    clock: DateTime = told("The moment.")


@strawberry.type(description="What made something so: an entry, or time that passed, when a limit was reached.")
class Happening:
    desk: Private[Desk]
    at: DateTime = told("When.")
    entry_id: ID | None = told("The entry, as `@57`; none: time passed.")
    kind: str | None = told("What it is.", Kind | None)

    @strawberry.field(description="The entry.")
    async def entry(self) -> Entry | None:
        return None if self.entry_id is None else await self.desk.entry(int(self.entry_id[1:]))


@strawberry.type(description="An entry between two pasts.")
class DiffEntry:
    desk: Private[Desk]
    entry_id: ID = told("The entry, as `@57`.")
    kind: str = told("What it is.", Kind)
    ref: ID = told("How people name it: `pep/440@3`, or `@57`.")
    targets: list[ID] = told("What it acts on, if it is an event.")
    verdict: Verdict | None = told("What has become of it in the later past; none for events.")

    @strawberry.field(description="The entry.")
    async def entry(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.entry_id[1:]))
        return found


@strawberry.type(description="How many, and the first of them.")
class DiffEntries:
    count: int = told("How many.")
    first: list[DiffEntry] = told("The first of them, in the order recorded.")


@strawberry.type(description="An edition that fell or revived.")
class TurnedEdition:
    verdict: Verdict = told("Its verdict in the later past.")
    event: Happening = told("What made it so, and has kept it so since.")


@strawberry.type(description="How many, and the first of them.")
class TurnedEditions:
    count: int = told("How many.")
    first: list[TurnedEdition] = told("The first of them, in the order of the events.")


@strawberry.type(description="What is different between two pasts of a ledger.")
class LedgerDiff:
    from_: AsOf = strawberry.field(name="from", description="The earlier past.")
    to: AsOf = told("The later one.")
    recorded: DiffEntries = told("Versions that began an edition, with what has become of them.")
    amended: DiffEntries = told("Versions that joined one.")
    withdrawn: DiffEntries = told("Revocations.")
    reinstated: DiffEntries = told("Reinstatements.")
    noted: DiffEntries = told("Verifications, added support, attempts, expiries.")
    fallen: TurnedEditions = told("Editions that stood in the earlier past, and do not any more.")
    revived: TurnedEditions = told("Editions that did not stand in the earlier past, and do now.")


@strawberry.type(description="A state that an edition was in, from what brought it to what ended it.")
class Interval:
    desk: Private[Desk]
    since: Happening = told("What brought it.")
    until: Happening | None = told("What ended it; none: it goes on.")
    state: str = told("The state.", State)
    reason: str | None = told("Why it was stale; none for fresh.", Reason | None)
    cause_id: ID | None = told(
        "The entry that gave the reason, as it was when this began; none where it would take too long to find."
    )

    @strawberry.field(description="The entry that gave the reason, as it was when this began.")
    async def cause(self) -> Entry | None:
        return None if self.cause_id is None else await self.desk.entry(int(self.cause_id[1:]))


@strawberry.type(description="How many states, and the last of them.")
class Intervals:
    count: int = told("How many.")
    last: list[Interval] = told("The last of them, oldest first.")


@strawberry.type(description="What became of an edition.")
class EditionHistory:
    desk: Private[Desk]
    found: Private[view.EditionHistory]
    entry_id: ID = told("Its first version, as `@42`.")
    ref: ID = told("Its newest version then, such as `pep/440@3`.")

    @strawberry.field(description="Its first version.")
    async def entry(self) -> RecordEntry:
        found: RecordEntry = await self.desk.entry(int(self.entry_id[1:]))
        return found

    @strawberry.field(description="The states it went through.")
    def states(self, info: Info, last: Last = None) -> Intervals:
        size = page_size(last, info.context.limits, "last")
        shown = [_interval(self.desk, one) for one in self.found.states.last[-size:]]
        return Intervals(count=self.found.states.count, last=shown)


@strawberry.type(description="How many editions, and the last of them.")
class EditionHistories:
    count: int = told("How many.")
    last: list[EditionHistory] = told("The last of them, in the order they were born.")


@strawberry.type(description="The states that something went through. Its entries are told by `entries`, with `about`.")
class History:
    revision: str = told("The revision it holds for.")
    clock: DateTime = told("The moment it holds for.")
    editions: EditionHistories = told("Its editions.")


@strawberry.type(description="The current version of a key in one of two ledgers.")
class KeyStanding:
    ref: ID = told("How people name it, such as `pep/440@3`.")
    id: ID = told("The entry, as `@42`.")
    digest: str = told("`sha256:` and the hash of its content.")
    state: str = told("Whether it may be used.", State)
    reason: str | None = told("Why not.", Reason | None)


@strawberry.type(description="A key in two ledgers.")
class KeyPair:
    key: ID = told("The key.")
    here: KeyStanding | None = told("In this one; none if it is not there.")
    there: KeyStanding | None = told("In the other; none if it is not there.")


@strawberry.type(description="How many keys, and the first of them.")
class KeyPairs:
    count: int = told("How many.")
    first: list[KeyPair] = told("The first of them, sorted.")


@strawberry.type(description="What is different of the keys of two ledgers. One may differ in content and verdict.")
class LedgerComparison:
    here: AsOf = told("This ledger.")
    there: AsOf = told("The other.")
    only_here: KeyPairs = told("Keys that the other does not have.")
    only_there: KeyPairs = told("Keys that only the other has.")
    content: KeyPairs = told("Keys whose current versions say something else.")
    verdict: KeyPairs = told("Keys whose current versions have another state, or another reason.")
    same: int = told("How many keys differ in neither.")


@strawberry.type
class Comparisons:
    """The queries."""

    @strawberry.field(
        description="What is different between two pasts of a ledger: what was recorded, withdrawn and reinstated, "
        "and what fell and revived by that, or by time that passed."
    )
    async def diff(
        self,
        info: Info,
        from_: Annotated[
            str,
            strawberry.argument(
                name="from", description="A revision, `tag:NAME`, or a moment (RFC 3339): the earlier past."
            ),
        ],
        ledger: LedgerName = "main",
        to: Annotated[str | None, arg("The later past, the same way; now unless given.")] = None,
        first: First = None,
    ) -> LedgerDiff:
        size = page_size(first, info.context.limits, most=view.LISTED_MAX)
        desk = await info.context.desk(ledger)
        return shown_diff(desk, await desk.service.diff(from_, to, limit=size))

    @strawberry.field(description="Since when each edition of what a reference names was in which state, and by what.")
    async def history(
        self,
        info: Info,
        ref: Ref,
        ledger: LedgerName = "main",
        last: Last = None,
        at: At = None,
    ) -> History | None:
        size = page_size(last, info.context.limits, "last")
        desk = await info.context.desk(ledger, at)
        span, found = await desk.service.editions(ref, limit=size, at=at)
        editions = [EditionHistory(desk=desk, found=one, entry_id=ID(one.id), ref=ID(one.ref)) for one in found.last]
        return History(
            revision=span.revision,
            clock=DateTime(span.clock),
            editions=EditionHistories(count=found.count, last=editions),
        )

    @strawberry.field(
        description="What is different of the current versions of all keys, in this ledger and in another."
    )
    async def compare(
        self,
        info: Info,
        other: Annotated[str, arg("The other ledger.")],
        ledger: LedgerName = "main",
        at: At = None,
        other_at: Annotated[str | None, arg("The same of the other ledger.")] = None,
        first: First = None,
    ) -> LedgerComparison:
        size = page_size(first, info.context.limits, most=view.LISTED_MAX)
        desk, beside = await info.context.desk(ledger), await info.context.desk(other)
        return shown_comparison(await desk.service.compare(beside.service, at=at, other_at=other_at, limit=size))


def shown_comparison(found: view.LedgerComparison) -> LedgerComparison:
    """What the schema shows of a comparison."""

    def standing(of: view.KeyStanding | None) -> KeyStanding | None:
        if of is None:
            return None
        return KeyStanding(ref=ID(of.ref), id=ID(of.id), digest=of.digest, state=of.state, reason=of.reason)

    def pairs(of: view.KeyPairs) -> KeyPairs:
        first = [KeyPair(key=ID(one.key), here=standing(one.here), there=standing(one.there)) for one in of.first]
        return KeyPairs(count=of.count, first=first)

    return LedgerComparison(
        here=shown_as_of(found.here),
        there=shown_as_of(found.there),
        only_here=pairs(found.only_here),
        only_there=pairs(found.only_there),
        content=pairs(found.content),
        verdict=pairs(found.verdict),
        same=found.same,
    )


def shown_diff(desk: Desk, found: view.LedgerDiff) -> LedgerDiff:
    """What the schema shows of a difference."""

    def entries(of: view.Listed) -> DiffEntries:
        return DiffEntries(count=of.count, first=[_entry(desk, one) for one in of.first])

    def turned(of: view.TurnedList) -> TurnedEditions:
        first = [
            TurnedEdition(verdict=shown_verdict(desk, one.verdict), event=shown_happening(desk, one.event))
            for one in of.first
        ]
        return TurnedEditions(count=of.count, first=first)

    return LedgerDiff(
        from_=shown_as_of(found.since),
        to=shown_as_of(found.to),
        recorded=entries(found.recorded),
        amended=entries(found.amended),
        withdrawn=entries(found.withdrawn),
        reinstated=entries(found.reinstated),
        noted=entries(found.noted),
        fallen=turned(found.fallen),
        revived=turned(found.revived),
    )


def shown_as_of(found: view.AsOf) -> AsOf:
    return AsOf(revision=found.revision, clock=DateTime(found.clock))


def shown_happening(desk: Desk, found: view.Happening) -> Happening:
    entry_id = None if found.entry is None else ID(found.entry)
    return Happening(desk=desk, at=DateTime(found.at), entry_id=entry_id, kind=found.kind)


def _entry(desk: Desk, found: view.EntryView) -> DiffEntry:
    return DiffEntry(
        desk=desk,
        entry_id=ID(found.id),
        kind=found.kind,
        ref=ID(found.ref),
        targets=list(map(ID, found.targets)),
        verdict=None if found.verdict is None else shown_verdict(desk, found.verdict),
    )


def _interval(desk: Desk, found: view.Interval) -> Interval:
    return Interval(
        desk=desk,
        since=shown_happening(desk, found.since),
        until=None if found.until is None else shown_happening(desk, found.until),
        state=found.state,
        reason=found.reason,
        cause_id=None if found.cause is None else ID(found.cause),
    )
