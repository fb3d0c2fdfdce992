"""What is given to the schema: filters, and commands in the interchange form, in camelCase."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import strawberry
from strawberry import ID, UNSET

from ledger.api.schema.words import DateTime, Json, Kind, Mode, Reason, RecordKind, State
from ledger.model.listing import Wanted


def arg(description: str) -> Any:
    """An argument with its description."""
    return strawberry.argument(description=description)


def given(description: str, *, default: Any = UNSET) -> Any:
    """A field of an input; left out unless given."""
    return strawberry.field(description=description, default=default)


LedgerName = Annotated[str, arg("Which ledger.")]
At = Annotated[
    str | None,
    arg("A revision, `tag:NAME`, or a moment (RFC 3339): what would have been answered then, by all that is reached."),
]
Ref = Annotated[ID, arg("A reference: `pep/440`, `pep/440@3`, `pep/440@sha256:9f2c11aa…` or `@42`.")]


@strawberry.input(description="Which entries are looked for; all that is given must fit.")
class EntryFilter:
    kinds: list[Kind] | None = given("Of one of these kinds.", default=None)
    state: State | None = given("Records that are in this state.", default=None)
    reason: Reason | None = given("Records whose verdict has this reason.", default=None)
    key_prefix: str | None = given("About a key that begins so.", default=None)
    actor: str | None = given("By this actor.", default=None)
    about: ID | None = given(
        "About what this reference names: all versions of its key, all events on them.", default=None
    )
    resting_on: ID | None = given("Records that rest on what this reference names, directly or not.", default=None)
    current: bool = given("Only the current version of each key.", default=False)
    recorded_since: DateTime | None = given("Recorded then or later.", default=None)
    recorded_before: DateTime | None = given("Recorded earlier.", default=None)

    def wanted(self) -> Wanted:
        return Wanted(**{name: plain(value) for name, value in vars(self).items()})


@strawberry.input(description="Record a version of what a key is about.")
class RecordInput:
    kind: RecordKind = strawberry.field(description="What is recorded.")
    content: Json | None = given("What it says, always needed: any JSON, null too.")
    key: ID | None = given("The stable name of what it is about. Without it the record is always new.")
    because: list[list[ID]] | None = given("Justifications: any one suffices, all premises of one must stand.")
    cites: list[ID] | None = given("Provenance: shown, never propagated.")
    supersedes: list[ID] | None = given("Other keys that this replaces from now on.")
    amends: int | None = given("The current version, whose edition this joins.")
    expects: int | None = given("Refuse unless this version is current; 0: the key has none.")
    restate: bool | None = given("Start a new edition although the content is the same.")
    require_fresh: bool | None = given("Refuse unless one of the justifications named stands at the batch's end.")
    valid_until: DateTime | None = given("When it expires; null removes what was set, absent keeps it.")
    actor: str | None = given("Who does this.")
    occurred_at: DateTime | None = given("When it happened outside.")
    idempotency_key: str | None = given("The same command under the same key is answered, not repeated.")


@strawberry.input(description="Withdraw an edition, or the support an entry added.")
class RevokeInput:
    target: ID = strawberry.field(description="What is withdrawn.")
    mode: Mode | None = given("How; `revoked` unless given.")
    reason: str | None = given("Why, for people.")
    effective_at: DateTime | None = given("Until when it stood, not after now; only with `revoked`.")
    actor: str | None = given("Who does this.")
    occurred_at: DateTime | None = given("When it happened outside.")
    idempotency_key: str | None = given("The same command under the same key is answered, not repeated.")


@strawberry.input(description="Lift withdrawals.")
class ReinstateInput:
    target: ID = strawberry.field(description="What they stand on.")
    lifts: list[ID] | None = given("Which: `@31`, or the idempotency key of the command that made it.")
    reason: str | None = given("Why, for people.")
    actor: str | None = given("Who does this.")
    occurred_at: DateTime | None = given("When it happened outside.")
    idempotency_key: str | None = given("The same command under the same key is answered, not repeated.")


@strawberry.input(description="What was looked at, and what was seen.")
class LookInput:
    target: ID = strawberry.field(description="What was looked at.")
    digest: str = strawberry.field(description="The digest that was seen.")


@strawberry.input(description="Say what was seen on looking again: `target` and `digest`, or `targets`.")
class VerifyInput:
    target: ID | None = given("What was looked at.")
    digest: str | None = given("The digest that was seen.")
    targets: list[LookInput] | None = given("Several at once.")
    actor: str | None = given("Who does this.")
    occurred_at: DateTime | None = given("When it happened outside.")
    idempotency_key: str | None = given("The same command under the same key is answered, not repeated.")


@strawberry.input(one_of=True, description="One command of a batch: exactly one of these.")
class CommandInput:
    record: RecordInput | None = given("Record.")
    revoke: RevokeInput | None = given("Revoke.")
    reinstate: ReinstateInput | None = given("Reinstate.")
    verify: VerifyInput | None = given("Verify.")

    def command(self) -> dict[str, Any]:
        return next(command_of(op, held) for op, held in vars(self).items() if held is not UNSET)


def command_of(op: str, given: Any) -> dict[str, Any]:
    """The same in the interchange form; null is left out where it says nothing of its own."""
    command: dict[str, Any] = {"op": op}
    for name, value in vars(given).items():
        if value is UNSET or (value is None and name not in _NULL_SAYS):
            continue
        command[name] = plain(value)
    return command


_NULL_SAYS = ("content", "valid_until")


def plain(value: Any) -> Any:
    """A value as the interchange spells it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, LookInput):
        return [value.target, value.digest]
    if isinstance(value, list) and value and isinstance(value[0], LookInput | Enum):
        return [plain(one) for one in value]
    return value
