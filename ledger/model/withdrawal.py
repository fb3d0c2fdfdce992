"""Withdrawing many editions at once: which they are and what that would do, planned before it is done.

The tool against a poisoned context: "everything agent X concluded on Tuesday".
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, Generic, Self, TypeVar

import msgspec
from msgspec import Meta

from ledger.errors import Malformed
from ledger.model.impact import IMPACT_NAMES, Impact
from ledger.model.listing import Wanted, wanted_of
from ledger.model.reference import check_digest
from ledger.model.result import NO_EFFECT, Effect
from ledger.model.shown import Shown
from ledger.model.verdict import STALE_REASONS
from ledger.model.view import EntryView
from ledger.model.writing import Moment

Planned = TypeVar("Planned", covariant=True)
Done = TypeVar("Done", covariant=True)


class Withdrawing(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which editions are to be withdrawn, and how: those of all entries that fit the filter."""

    filter: Annotated[Wanted, Meta(description="Which entries: at least one of the filters of `entries`.")]
    mode: Annotated[str, Meta(description="As of `revoke`.", extra_json_schema={"enum": [*STALE_REASONS[:4]]})] = (
        "revoked"
    )
    reason: Annotated[str | None, Meta(description="Why, for people: in each of the revocations.")] = None
    actor: Annotated[str | None, Meta(description="Who withdraws.")] = None


class PlannedWithdrawal(Withdrawing, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The same, to be done as a plan showed it."""

    plan: Annotated[
        str,  # its form is for `check_plan`, at whichever door it comes
        Meta(description="The digest of that plan.", extra_json_schema={"pattern": "^sha256:[0-9a-f]{64}$"}),
    ]
    idempotency_key: Annotated[
        str | None, Meta(description="The same withdrawal under the same key is answered, not repeated.")
    ] = None

    def asked(self) -> Withdrawing:
        return Withdrawing(filter=self.filter, mode=self.mode, reason=self.reason, actor=self.actor)


class WithdrawalPlan(Shown, frozen=True, kw_only=True):
    """What a withdrawal would do as of now; nothing of it has been done.

    `targets` are what would be revoked, one revocation each, in one atomic batch: editions by their newest versions,
    and added support (`@57`) whose edition is not among them. What is withdrawn in this mode already is left out.
    """

    asked: Withdrawing
    kinds: dict[str, int] = msgspec.field(default_factory=dict)  # of the targets
    targets: tuple[str, ...] = ()
    first: tuple[EntryView, ...] = ()  # of the targets, without their contents
    impact: Impact

    @property
    def count(self) -> int:
        return len(self.targets)

    @property
    def digest(self) -> str:
        """That of the impact: it says which editions change, and how."""
        return self.impact.digest

    def with_digest(self, digest: str) -> Self:
        """The same question, with the digest it was answered by when it was shown. Raises Malformed."""
        return msgspec.structs.replace(self, impact=msgspec.structs.replace(self.impact, digest=check_plan(digest)))

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The batch, in the interchange form."""
        return [revocation_of(self.asked, target) for target in self.targets]


class Withdrawn(Shown, frozen=True, kw_only=True):
    """What a withdrawal did; `fell` and `revived` are the sums over its revocations."""

    revision: str
    count: int = 0
    fell: Effect = NO_EFFECT
    revived: Effect = NO_EFFECT
    replayed: bool = False


def check_plan(digest: str) -> str:
    """What names a plan, if it may be the digest of one. Raises Malformed."""
    try:
        return check_digest(digest)
    except Malformed as error:
        raise error.at(field="plan") from None


def revocation_of(asked: Withdrawing, target: str) -> dict[str, Any]:
    """The command that withdraws one of the targets."""
    given = {"mode": asked.mode, "reason": asked.reason, "actor": asked.actor}
    return {"op": "revoke", "target": target, **{name: value for name, value in given.items() if value is not None}}


class Planning(ABC, Generic[Planned, Done]):
    """`plan_withdrawal` and `withdraw`: the same embedded and over HTTP, with an event loop and without."""

    @abstractmethod
    def _plan(self, asked: Withdrawing, limit: int, at_least: str | None) -> Planned: ...

    @abstractmethod
    def _withdraw(self, asked: Withdrawing, plan: str, idempotency_key: str | None) -> Done: ...

    def plan_withdrawal(
        self,
        *,
        kinds: Iterable[str] | None = None,
        state: str | None = None,
        state_reason: str | None = None,
        key_prefix: str | None = None,
        actor: str | None = None,
        about: str | None = None,
        resting_on: str | None = None,
        current: bool = False,
        recorded_since: Moment | None = None,
        recorded_before: Moment | None = None,
        mode: str = "revoked",
        reason: str | None = None,
        by: str | None = None,
        limit: int = IMPACT_NAMES,
        at_least: str | None = None,
    ) -> Planned:
        """What would be withdrawn if every edition were that these filters leave, and what would fall with it.

        The filters are those of `entries`; `state_reason` is its `reason`. `mode` and `reason` are those of `revoke`,
        `by` is who withdraws. Nothing is changed; `withdraw` does it. At most `limit` names in each list.
        """
        wanted = wanted_of(
            kinds=kinds,
            state=state,
            reason=state_reason,
            key_prefix=key_prefix,
            actor=actor,
            about=about,
            resting_on=resting_on,
            current=current,
            recorded_since=recorded_since,
            recorded_before=recorded_before,
        )
        return self._plan(Withdrawing(filter=wanted, mode=mode, reason=reason, actor=by), limit, at_least)

    def withdraw(self, plan: WithdrawalPlan, *, idempotency_key: str | None = None) -> Done:
        """Do exactly what a plan shows, as one atomic batch of any size.

        It is planned anew: raises ImpactChanged if by now it would withdraw or fell anything else.
        """
        return self._withdraw(plan.asked, plan.digest, idempotency_key)
