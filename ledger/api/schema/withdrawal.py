"""Withdrawing many editions at once, as the schema shows it."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import Private

from ledger.api.schema.answers import KindCount
from ledger.api.schema.arguments import EntryFilter, given, plain
from ledger.api.schema.desk import Desk
from ledger.api.schema.entries import Entry, told
from ledger.api.schema.impact import Impact, shown_impact
from ledger.api.schema.results import Effect, Failure, shown_effect
from ledger.api.schema.words import Mode
from ledger.model import withdrawal as model


@strawberry.input(description="Which editions to withdraw, and how.")
class WithdrawalInput:
    filter: EntryFilter = strawberry.field(description="The editions of all entries that fit; one filter at least.")
    mode: Mode | None = given("How; `revoked` unless given.")
    reason: str | None = given("Why, for people.")
    actor: str | None = given("Who withdraws.")

    def asked(self) -> model.Withdrawing:
        """The same as the service takes it."""
        return model.Withdrawing(
            filter=self.filter.wanted(),
            mode=plain(self.mode) if self.mode else "revoked",
            reason=self.reason or None,
            actor=self.actor or None,
        )


@strawberry.type(description="What a withdrawal would do. Nothing of it has been done.")
class WithdrawalPlan:
    desk: Private[Desk]
    plan: Private[model.WithdrawalPlan]
    count: int = told("How many editions, and how much added support, would be withdrawn.")
    kinds: list[KindCount] = told("How many of each kind.")
    digest: str = told("Of exactly this: what `withdraw` takes as `plan`.")
    impact: Impact = told("What would fall with them; `results` is empty, each would be `revoked`.")

    @strawberry.field(description="The first that would be withdrawn, as many as were asked for.")
    async def first(self) -> list[Entry]:
        return await self.desk.entries(one.seq for one in self.plan.first)


@strawberry.type(description="What a withdrawal did.")
class Withdrawn:
    count: int = told("How many revocations there were.")
    revision: str = told("The end of their batch.")
    replayed: bool = told("Whether this is the answer to an earlier one with the same idempotency key.")
    fell: Effect = told("What fell by them, in sum.")
    revived: Effect = told("What came back by them, in sum.")


WithdrawResult = Annotated[
    Withdrawn | Failure, strawberry.union("WithdrawResult", description="The answer to `withdraw`.")
]


def shown_plan(desk: Desk, plan: model.WithdrawalPlan) -> WithdrawalPlan:
    """What the schema shows of a plan."""
    return WithdrawalPlan(
        desk=desk,
        plan=plan,
        count=plan.count,
        kinds=[KindCount(kind=kind, count=count) for kind, count in plan.kinds.items()],
        digest=plan.digest,
        impact=shown_impact(plan.impact),
    )


def shown_withdrawn(done: model.Withdrawn) -> Withdrawn:
    """What the schema shows of a withdrawal that was done."""
    return Withdrawn(
        count=done.count,
        revision=done.revision,
        replayed=done.replayed,
        fell=shown_effect(done.fell),
        revived=shown_effect(done.revived),
    )
