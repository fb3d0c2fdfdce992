"""Entries and verdicts as the schema shows them: a graph that goes on from each entry to those it names.

What costs nothing is a plain attribute: a resolver on each leaf would make an answer many times slower. What leads on
is loaded when it is asked for, all of a level at once.
"""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry import ID, Private

from ledger.api.schema.desk import Desk
from ledger.api.schema.words import DateTime, Json, Kind, Mode, Outcome, Reason, State
from ledger.model import entry as model
from ledger.model import verdict as verdicts
from ledger.service.service import Seen


def told(description: str, type_: Any = None) -> Any:
    """A plain attribute with its description; `type_` where Python holds text and the schema an enum."""
    return strawberry.field(description=description, graphql_type=type_)


@strawberry.interface(description="One record of the log: immutable, numbered without gaps, chained to the one before.")
class Entry:
    desk: Private[Desk]
    source: Private[Any]
    ledger: str = told("The ledger it is in. Numbers start anew in each.")
    id: ID = told("Its number as a reference, such as `@42`.")
    seq: int = told("Its number, from 1, without gaps.")
    kind: str = told("What it is.", Kind)
    ref: ID = told("How people name it: `pep/440@3`, or `@42` for what has no key.")
    actor: str | None = told("Who did this, as the caller said.")
    occurred_at: DateTime | None = told("When it happened outside, as the caller said.")
    recorded_at: DateTime = told("When it was recorded. Never decreases along the log.")
    hash: str = told("Its place in the hash chain: covers it and all before it. 64 hex digits.")
    outcomes: list[str] = told("What came of the commands that it answers.", list[Outcome])


@strawberry.type(description="What the ledger says of a reference, as of one revision and moment.")
class Verdict:
    desk: Private[Desk]
    ref: ID = told("The reference, as asked.")
    state: str = told("Whether it may be used.", State)
    reason: str | None = told("Why it is stale, amended or unknown; none for what is simply fresh.", Reason | None)
    entry_id: ID | None = told("The version that the reference names, as `@42`; none if it is unknown.")
    cause_id: ID | None = told("The entry that made it stale, as `@57`.")
    successor_ref: ID | None = told("What stands in its place, such as `pep/440@4`; only if that is fresh.")

    @strawberry.field(description="The version that the reference names.")
    async def entry(self) -> RecordEntry | None:
        return None if self.entry_id is None else await self.desk.entry(int(self.entry_id[1:]))

    @strawberry.field(description="The earliest standing entry that gives the reason.")
    async def cause(self) -> Entry | None:
        return None if self.cause_id is None else await self.desk.entry(int(self.cause_id[1:]))

    @strawberry.field(description="What stands in its place; only if that is fresh.")
    async def successor(self) -> RecordEntry | None:
        return None if self.successor_ref is None else await self.desk.named(self.successor_ref)

    @strawberry.field(description="When somebody last looked at it: recorded it, said it again, or verified it.")
    def checked_at(self) -> DateTime | None:
        return None if self.entry_id is None else DateTime(self.desk.checked_at(int(self.entry_id[1:])))


@strawberry.interface(description="An entry that says something: a version of what its key is about.")
class RecordEntry(Entry):
    key: str | None = told("The stable name of what it is about.")
    version: int = told("Which version of its key it is; 1 without key.")
    digest: str = told("`sha256:` and the hash of its content.")
    content: Json | None = told("What it says. Null where it was erased.")
    valid_until: DateTime | None = told("When its edition expires, if this version said so.")
    verdict: Verdict = told("What the ledger says of it: now, or `at` the past that was asked for.")

    @strawberry.field(description="What it rests on: any one justification suffices, all premises of one must stand.")
    async def because(self) -> list[list[RecordEntry]]:
        return await self.desk.groups(self.source.because)

    @strawberry.field(description="Provenance: shown, never propagated.")
    async def cites(self) -> list[Entry]:
        return await self.desk.entries(self.source.cites)

    @strawberry.field(description="A version of each other key that it replaces from then on.")
    async def supersedes(self) -> list[RecordEntry]:
        return await self.desk.entries(self.source.supersedes)

    @strawberry.field(description="The version whose edition it joined.")
    async def amends(self) -> RecordEntry | None:
        return None if self.source.amends is None else await self.desk.entry(self.source.amends)

    @strawberry.field(description="The withdrawals that stand on its edition.")
    async def withdrawn_by(self) -> list[Entry]:
        with self.desk.reading() as reader:
            seqs = reader.withdrawn_by(reader.index.edition[self.seq])
        return await self.desk.entries(seqs)

    @strawberry.field(description="The entries that took the place of its edition: versions of its key, other keys.")
    async def superseded_by(self) -> list[Entry]:
        with self.desk.reading() as reader:
            seqs = reader.superseded_by(reader.index.edition[self.seq])
        return await self.desk.entries(seqs)


@strawberry.type(description="What is to be done about an executed mutation that lost its ground.")
class Remedy:
    desk: Private[Desk]
    cause_seqs: Private[tuple[int, ...]]
    needed: bool = told("Whether it is to be repaired; else it lapsed: right when it was done, stale to build on.")

    @strawberry.field(description="The withdrawals that make it so; of a lapsed one, the cause of its verdict.")
    async def causes(self) -> list[Entry]:
        return await self.desk.entries(self.cause_seqs)


@strawberry.interface(description="An entry that does something to what was recorded.")
class EventEntry(Entry):
    @strawberry.field(description="What it acts on: records, or entries that added support.")
    async def targets(self) -> list[Entry]:
        return await self.desk.entries(self.source.targets)


@strawberry.type(description="What an agent holds true.")
class BeliefEntry(RecordEntry):
    pass


@strawberry.type(description="A grant to act.")
class ApprovalEntry(RecordEntry):
    pass


@strawberry.type(description="A change of an outside system. An act: judged as of when it was done.")
class MutationEntry(RecordEntry):
    @strawberry.field(description="What is to be done about it; none while one of its justifications stands.")
    def remedy(self) -> Remedy | None:
        due = self.desk.due(self.seq)
        return None if due is None else Remedy(desk=self.desk, needed=due.needed, cause_seqs=due.causes)


@strawberry.type(description="An outside thing at a version: a document, chunk, policy, constraint, tool output.")
class DependencyEntry(RecordEntry):
    pass


@strawberry.type(description="A choice that was made. An act.")
class DecisionEntry(RecordEntry):
    pass


@strawberry.type(description="What a model was given. An act.")
class ContextEntry(RecordEntry):
    pass


@strawberry.type(description="Withdraws editions, or the support one entry added. Stands until it is lifted.")
class RevocationEntry(EventEntry):
    mode: str = told("How it withdraws.", Mode)
    reason: str | None = told("Why, for people.")
    effective_at: DateTime | None = told("Until when it stood, if that was said.")


@strawberry.type(description="Lifts withdrawals, or supersessions by another key.")
class ReinstatementEntry(EventEntry):
    reason: str | None = told("Why, for people.")

    @strawberry.field(description="The entries it lifts.")
    async def lifts(self) -> list[Entry]:
        return await self.desk.entries(self.source.lifts)


@strawberry.type(description="Somebody looked again, or said the same again.")
class VerificationEntry(EventEntry):
    observed: list[str] = told("The digest seen of each target, in their order.")
    valid_until: DateTime | None = told("When the edition expires, if this entry said so.")


@strawberry.type(description="A repetition that added support, or superseded more keys.")
class JustificationEntry(EventEntry):
    observed: list[str] = told("The digest seen of each target, in their order.")
    valid_until: DateTime | None = told("When the edition expires, if this entry said so.")

    @strawberry.field(description="The support it added: any one justification suffices, all premises must stand.")
    async def because(self) -> list[list[RecordEntry]]:
        return await self.desk.groups(self.source.because)

    @strawberry.field(description="A version of each key that it superseded.")
    async def supersedes(self) -> list[RecordEntry]:
        return await self.desk.entries(self.source.supersedes)


@strawberry.type(description="What was withheld: repetitions of what stands withdrawn, and condemned content.")
class AttemptEntry(EventEntry):
    observed: list[str] = told("The digest that was offered for each target, in their order.")


@strawberry.type(description="Notes that a `validUntil` has passed. No verdict depends on it.")
class ExpiryEntry(EventEntry):
    pass


TYPES: dict[type[model.Entry], type[Entry]] = {
    model.Belief: BeliefEntry,
    model.Approval: ApprovalEntry,
    model.Mutation: MutationEntry,
    model.Dependency: DependencyEntry,
    model.Decision: DecisionEntry,
    model.Context: ContextEntry,
    model.Revocation: RevocationEntry,
    model.Reinstatement: ReinstatementEntry,
    model.Verification: VerificationEntry,
    model.Justification: JustificationEntry,
    model.Attempt: AttemptEntry,
    model.Expiry: ExpiryEntry,
}

_COMMON = ("id", "seq", "kind", "ref", "actor", "occurred_at", "recorded_at", "hash", "outcomes")
_OF_RECORDS = ("key", "version", "digest", "content", "valid_until")
_OF_EVENTS: dict[type[Entry], tuple[str, ...]] = {
    RevocationEntry: ("mode", "reason", "effective_at"),
    ReinstatementEntry: ("reason",),
    VerificationEntry: ("observed", "valid_until"),
    JustificationEntry: ("observed", "valid_until"),
    AttemptEntry: ("observed",),
    ExpiryEntry: (),
}


def shown_entry(desk: Desk, seen: Seen) -> Entry:
    """What the schema shows of an entry."""
    kind = TYPES[type(seen.entry)]
    names = _COMMON + _OF_EVENTS.get(kind, _OF_RECORDS)
    shown: dict[str, Any] = {name: getattr(seen.view, name) for name in names}
    if seen.view.verdict is not None:
        shown["verdict"] = shown_verdict(desk, seen.view.verdict)
    return kind(desk=desk, source=seen.entry, ledger=desk.name, **shown)


def shown_verdict(desk: Desk, verdict: verdicts.Verdict) -> Verdict:
    """What the schema shows of a verdict."""
    return Verdict(
        desk=desk,
        ref=ID(verdict.ref),
        state=verdict.state,
        reason=verdict.reason,
        entry_id=verdict.id,  # type: ignore[arg-type]
        cause_id=verdict.cause,  # type: ignore[arg-type]
        successor_ref=verdict.successor,  # type: ignore[arg-type]
    )
