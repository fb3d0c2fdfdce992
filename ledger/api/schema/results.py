"""What a write answers: what came of it, or a typed error with a stable code."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID, Private

from ledger import errors
from ledger.api.schema.desk import Desk
from ledger.api.schema.entries import Entry, Verdict, shown_verdict, told
from ledger.api.schema.telling import camel_case
from ledger.api.schema.words import ErrorCode, Outcome
from ledger.model import result as model


@strawberry.type(description="What a command did to the validity of what was there before.")
class Effect:
    count: int = told("How many editions.")
    first: list[ID] = told("The first of them: ten, or as many as were asked for.")


@strawberry.type(description="What came of a command.")
class CommandResult:
    desk: Private[Desk]
    outcome: str = told("What came of it.", Outcome)
    entry_id: ID = told("The entry that answers it, as `@42`.")
    ref: ID = told("The version it is about, such as `pep/440@3`.")
    verdict: Verdict = told("The verdict of that version at the end of the batch.")
    revision: str = told("The end of the batch: what `atLeast` takes to see it everywhere.")
    replayed: bool = told("Whether this is the answer to an earlier command with the same idempotency key.")
    created_ledger: bool = told("Whether it was the first entry of its ledger.")
    fell: Effect = told("What stopped being valid.")
    revived: Effect = told("What is valid again.")
    stands_ids: list[ID] = told("What stands against it, when it is withheld or condemned.")

    @strawberry.field(description="The entry that answers it.")
    async def entry(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.entry_id[1:]))
        return found

    @strawberry.field(description="What stands against it, when it is withheld or condemned.")
    async def stands(self) -> list[Entry]:
        return await self.desk.entries(int(one[1:]) for one in self.stands_ids)


@strawberry.type(description="What came of a batch.")
class BatchResult:
    revision: str = told("The end of the batch.")
    replayed: bool = told("Whether this is the answer to an earlier batch with the same idempotency key.")
    results: list[CommandResult] = told("The answer to each command, in order.")


@strawberry.interface(description="Why nothing was recorded. Of a batch, all or nothing is.")
class Error:
    code: str = told("What it is. Stable.", ErrorCode)
    message: str = told("One sentence for a person.")
    retry: bool = told("Whether the same again may succeed later.")
    field: str | None = told("The field it is about.")
    command: int | None = told("The command of the batch it is about, from 0.")


@strawberry.type(description="The form is not as it must be, or over a limit: `malformed`, `too_large`.")
class InvalidInput(Error):
    pass


@strawberry.type(
    description="A reference names nothing, several things, or an event: `not_found`, `no_such_tag`, `ambiguous`, "
    "`not_a_premise`."
)
class UnresolvedReference(Error):
    reference: ID | None = told("The reference.")


@strawberry.type(description="Another version is current than was expected: `not_current`.")
class VersionConflict(Error):
    current: int | None = told("The version that is current; none if the key has none.")


@strawberry.type(
    description="What was to be lifted cannot be, or is not said clearly: `several_withdrawals`, `not_standing`, "
    "`nothing_to_lift`, `erased_is_final`."
)
class WithdrawalConflict(Error):
    standing: list[ID] = told("The withdrawals to choose from, when several stand.")


@strawberry.type(description="Another command has used this idempotency key: `idempotency_conflict`.")
class IdempotencyConflict(Error):
    used_by: ID | None = told("The entry that answers the other command.")


@strawberry.type(description="It would do something else by now than `impact` told: `impact_changed`.")
class ImpactConflict(Error):
    impact: str | None = told("The digest of what it would do now.")


@strawberry.type(description="A law forbids it; the code says which.")
class LawBroken(Error):
    pass


@strawberry.type(description="The store cannot do it, now or at all.")
class StoreFailure(Error):
    pass


_ERRORS: tuple[tuple[tuple[type[errors.LedgerError], ...], type[Error], dict[str, str]], ...] = (
    ((errors.Malformed, errors.TooLarge), InvalidInput, {}),
    (
        (errors.NotFound, errors.Ambiguous, errors.NotAPremise, errors.NoSuchTag),
        UnresolvedReference,
        {"reference": "ref"},
    ),
    ((errors.NotCurrent,), VersionConflict, {"current": "current"}),
    (
        (errors.SeveralWithdrawals, errors.NotStanding, errors.NothingToLift, errors.ErasedIsFinal),
        WithdrawalConflict,
        {"standing": "standing"},
    ),
    ((errors.IdempotencyConflict,), IdempotencyConflict, {"used_by": "entry"}),
    ((errors.ImpactChanged,), ImpactConflict, {"impact": "impact"}),
    ((errors.Refused,), LawBroken, {}),
    ((errors.LedgerError,), StoreFailure, {}),
)
"""The first that fits; with what each carries, by its name in the details of the error."""

Failure = (
    InvalidInput
    | UnresolvedReference
    | VersionConflict
    | WithdrawalConflict
    | IdempotencyConflict
    | ImpactConflict
    | LawBroken
    | StoreFailure
)

RecordResult = Annotated[
    CommandResult | Failure, strawberry.union("RecordResult", description="The answer to `record`.")
]
RevokeResult = Annotated[
    CommandResult | Failure, strawberry.union("RevokeResult", description="The answer to `revoke`.")
]
ReinstateResult = Annotated[
    CommandResult | Failure, strawberry.union("ReinstateResult", description="The answer to `reinstate`.")
]
VerifyResult = Annotated[
    CommandResult | Failure, strawberry.union("VerifyResult", description="The answer to `verify`.")
]
ApplyResult = Annotated[BatchResult | Failure, strawberry.union("ApplyResult", description="The answer to `apply`.")]


def shown_result(desk: Desk, result: model.Result) -> CommandResult:
    """What the schema shows of a result."""
    return CommandResult(
        desk=desk,
        outcome=result.outcome,
        entry_id=ID(result.entry),
        ref=ID(result.ref),
        verdict=shown_verdict(desk, result.verdict),
        revision=result.revision,
        replayed=result.replayed,
        created_ledger=result.entry == "@1" and not result.replayed,
        fell=shown_effect(result.fell),
        revived=shown_effect(result.revived),
        stands_ids=list(map(ID, result.stands)),
    )


def shown_batch(desk: Desk, batch: model.BatchResult) -> BatchResult:
    """What the schema shows of a batch's results."""
    results = [shown_result(desk, result) for result in batch.results]
    return BatchResult(revision=batch.revision, replayed=batch.replayed, results=results)


def shown_failure(error: errors.LedgerError) -> Failure:
    """The typed error of a refusal."""
    kind, carried = next((type_, carried) for kinds, type_, carried in _ERRORS if isinstance(error, kinds))
    facts = error.outward()
    more = {name: facts.get(detail) for name, detail in carried.items()}
    if "standing" in more:
        more["standing"] = more["standing"] or []
    field = facts.get("field")
    shown: Failure = kind(  # type: ignore[assignment]  # the table pairs types with what they carry
        code=error.code if error.code in CODES else errors.LedgerError.code,
        message=facts["message"],
        retry=error.retry,
        field=None if field is None else camel_case(field),
        command=facts.get("command"),
        **more,
    )
    return shown


CODES = frozenset(ErrorCode.__members__)


def shown_effect(effect: model.Effect) -> Effect:
    """What the schema shows of an effect."""
    return Effect(count=effect.count, first=list(map(ID, effect.first)))
