"""POST /v1/ledgers/{ledger}/withdrawal/plan and …/withdrawal: many editions at once, shown before it is done."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from starlette.types import Receive, Scope, Send

from ledger.api import bodies
from ledger.api.freshness import malformed
from ledger.api.impact import asked_of
from ledger.api.openapi import DescribedRoute, answered, named
from ledger.api.routes import AtLeast, LedgerName, Names
from ledger.model.impact import IMPACT_NAMES
from ledger.model.withdrawal import PlannedWithdrawal, WithdrawalPlan, Withdrawing, Withdrawn
from ledger.service.ledgers import Ledgers


class PlanWithdrawal:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_least, limit = asked_of(scope["query_string"])
        asked = _decoded(await bodies.read(receive), Withdrawing)
        service = await self.ledgers.get(scope["path_params"]["ledger"])
        await service.reach(at_least)
        plan = await service.plan_withdrawal(asked, limit=limit)
        revision = (b"ledger-revision", plan.impact.revision.encode())
        await bodies.answer(send, msgspec.json.encode(plan), bodies.JSON, bodies.NOT_KEPT, revision)


class Withdraw:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _decoded(await bodies.read(receive), PlannedWithdrawal)
        service = await self.ledgers.get(scope["path_params"]["ledger"])
        done = await service.withdraw(request.asked(), request.plan, idempotency_key=request.idempotency_key)
        await bodies.answer(send, msgspec.json.encode(done), bodies.JSON)


def withdrawal_routes(ledgers: Ledgers) -> list[DescribedRoute]:
    def plan_withdrawal(
        ledger: LedgerName,
        at_least: AtLeast = None,
        limit: Names = IMPACT_NAMES,
    ) -> None:
        """Which editions would be withdrawn, and what would fall with them. Nothing is changed."""

    def withdraw(ledger: LedgerName) -> None:
        """Withdraw exactly what a plan shows, as one atomic batch of any size."""

    return [
        DescribedRoute(
            "/v1/ledgers/{ledger}/withdrawal/plan",
            PlanWithdrawal(ledgers),
            plan_withdrawal,
            takes={"application/json": named(Withdrawing)},
            gives=answered(WithdrawalPlan),
        ),
        DescribedRoute(
            "/v1/ledgers/{ledger}/withdrawal",
            Withdraw(ledgers),
            withdraw,
            takes={"application/json": named(PlannedWithdrawal)},
            gives=answered(Withdrawn),
        ),
    ]


T = TypeVar("T")


def _decoded(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise malformed(error) from error
