"""The writes. Each answers with what came of it, or with a typed error; whatever is refused records nothing."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry

from ledger.api.schema.arguments import (
    CommandInput,
    LedgerName,
    RecordInput,
    ReinstateInput,
    RevokeInput,
    VerifyInput,
    arg,
    command_of,
)
from ledger.api.schema.desk import Operation
from ledger.api.schema.limits import not_over
from ledger.api.schema.results import (
    ApplyResult,
    CommandResult,
    Failure,
    RecordResult,
    ReinstateResult,
    RevokeResult,
    VerifyResult,
    shown_batch,
    shown_failure,
    shown_result,
)
from ledger.api.schema.tags import Named, TagName, TagResult, shown_tagged
from ledger.api.schema.withdrawal import WithdrawalInput, WithdrawResult, shown_withdrawn
from ledger.api.schema.words import DateTime
from ledger.errors import LedgerError

Info = strawberry.Info[Operation, None]


@strawberry.type(description="Writes. Only writing creates a ledger.")
class Mutation:
    @strawberry.mutation(description="Record a version of what a key is about (laws 1 to 4).")
    async def record(
        self, info: Info, input: Annotated[RecordInput, arg("What is recorded.")], ledger: LedgerName = "main"
    ) -> RecordResult:
        return await _single(info, ledger, command_of("record", input))

    @strawberry.mutation(description="Withdraw an edition, or the support an entry added (law 5).")
    async def revoke(
        self, info: Info, input: Annotated[RevokeInput, arg("What is withdrawn.")], ledger: LedgerName = "main"
    ) -> RevokeResult:
        return await _single(info, ledger, command_of("revoke", input))

    @strawberry.mutation(description="Lift the withdrawals named, or the only one that stands (law 5).")
    async def reinstate(
        self, info: Info, input: Annotated[ReinstateInput, arg("What is lifted.")], ledger: LedgerName = "main"
    ) -> ReinstateResult:
        return await _single(info, ledger, command_of("reinstate", input))

    @strawberry.mutation(description="Say which digest was seen on looking again (law 8).")
    async def verify(
        self, info: Info, input: Annotated[VerifyInput, arg("What was seen.")], ledger: LedgerName = "main"
    ) -> VerifyResult:
        return await _single(info, ledger, command_of("verify", input))

    @strawberry.mutation(description="One atomic batch: all commands or none (law 10).")
    async def apply(
        self,
        info: Info,
        commands: Annotated[list[CommandInput], arg("In order; each sees what those before it did.")],
        ledger: LedgerName = "main",
        actor: Annotated[str | None, arg("Who does this, where a command does not say.")] = None,
        occurred_at: Annotated[DateTime | None, arg("When it happened, where a command does not say.")] = None,
        idempotency_key: Annotated[
            str | None, arg("The same batch under the same key is answered, not repeated.")
        ] = None,
        expects_impact: Annotated[
            str | None, arg("The digest of what `impact` told of these commands: they do exactly that or are refused.")
        ] = None,
    ) -> ApplyResult:
        try:
            not_over("commands", commands, info.context.limits.commands_max, "commands")
            envelope = {
                "actor": actor,
                "occurred_at": occurred_at,
                "idempotency_key": idempotency_key,
                "expects_impact": expects_impact,
            }
            batch: dict[str, Any] = {"op": "batch", "commands": [each.command() for each in commands]}
            batch |= {name: value for name, value in envelope.items() if value is not None}
            service = await info.context.ledgers.get(ledger, create=True)
            return shown_batch(info.context.new_desk(service), await service.apply(batch))
        except LedgerError as error:
            return shown_failure(error)

    @strawberry.mutation(
        description="Name a revision for good. The same name for the same revision again is fine; for another it is "
        "refused. It records no entry."
    )
    async def tag(self, info: Info, name: TagName, revision: Named = None, ledger: LedgerName = "main") -> TagResult:
        try:
            return shown_tagged(await (await info.context.ledgers.get(ledger)).tag(name, revision))
        except LedgerError as error:
            return shown_failure(error)

    @strawberry.mutation(description="Withdraw exactly what `planWithdrawal` showed, as one batch of any size (law 5).")
    async def withdraw(
        self,
        info: Info,
        input: Annotated[WithdrawalInput, arg("Which editions, and how: as they were planned.")],
        plan: Annotated[str, arg("The digest of the plan; what would do anything else by now is refused.")],
        ledger: LedgerName = "main",
        idempotency_key: Annotated[str | None, arg("The same under the same key is answered, not repeated.")] = None,
    ) -> WithdrawResult:
        try:
            service = await info.context.ledgers.get(ledger)
            return shown_withdrawn(await service.withdraw(input.asked(), plan, idempotency_key=idempotency_key))
        except LedgerError as error:
            return shown_failure(error)


async def _single(info: Info, ledger: str, command: dict[str, Any]) -> CommandResult | Failure:
    try:
        service = await info.context.ledgers.get(ledger, create=True)
        result = (await service.apply(command)).results[0]
    except LedgerError as error:
        return shown_failure(error)
    return shown_result(info.context.new_desk(service), result)
