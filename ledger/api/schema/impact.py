"""What commands would do, as the schema shows it."""

from __future__ import annotations

import strawberry
from strawberry import ID

from ledger.api.schema.answers import KindCount
from ledger.api.schema.entries import told
from ledger.api.schema.results import Effect, shown_effect
from ledger.api.schema.words import DateTime, Outcome, Reason, State
from ledger.model import impact as model


@strawberry.type(description="Editions that would fall or revive.")
class Extent:
    count: int = told("How many.")
    kinds: list[KindCount] = told("How many of each kind.")
    first: list[ID] = told("The first of them, as many as were asked for.")


@strawberry.type(description="What would come of a command, if it were the next.")
class Prospect:
    outcome: str = told("What would come of it.", Outcome)
    entry_id: ID = told("The number it would get.")
    ref: ID = told("The version it would be about.")
    state: str = told("Whether that version would stand at the end of the batch.", State)
    reason: str | None = told("Why not.", Reason | None)
    replayed: bool = told("Whether it would be the answer to an earlier command with the same idempotency key.")
    stands_ids: list[ID] = told("What stands against it, when it would be withheld or condemned.")
    fell: Effect = told("What this command alone would fell.")
    revived: Effect = told("What it would bring back.")


@strawberry.type(description="What a batch would do. Nothing of it has been done.")
class Impact:
    revision: str = told("The revision it holds for.")
    clock: DateTime = told("The moment it holds for.")
    digest: str = told("Of exactly this: `apply` takes it as `expectsImpact`, and then does this or is refused.")
    fell: Extent = told("What would stop being valid.")
    revived: Extent = told("What would be valid again.")
    remediation: Effect = told("Executed mutations that would newly need repair.")
    results: list[Prospect] = told("What would come of each command, in order.")


def shown_impact(impact: model.Impact) -> Impact:
    """What the schema shows of an impact."""
    return Impact(
        revision=impact.revision,
        clock=DateTime(impact.clock),
        digest=impact.digest,
        fell=_extent(impact.fell),
        revived=_extent(impact.revived),
        remediation=shown_effect(impact.remediation),
        results=[_prospect(one) for one in impact.results],
    )


def _extent(extent: model.Extent) -> Extent:
    kinds = [KindCount(kind=kind, count=count) for kind, count in extent.kinds.items()]
    return Extent(count=extent.count, kinds=kinds, first=list(map(ID, extent.first)))


def _prospect(one: model.Prospect) -> Prospect:
    return Prospect(
        outcome=one.outcome,
        entry_id=ID(one.entry),
        ref=ID(one.ref),
        state=one.verdict.state,
        reason=one.verdict.reason,
        replayed=one.replayed,
        stands_ids=list(map(ID, one.stands)),
        fell=shown_effect(one.fell),
        revived=shown_effect(one.revived),
    )
