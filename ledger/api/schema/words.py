"""The words of the schema: enums and scalars. Values are spelt as everywhere else (HTTP, command line, Neo4j)."""

from __future__ import annotations

from enum import Enum
from typing import Any, NewType

import strawberry
from strawberry import enum_value as word

from ledger.clock import parse_moment
from ledger.errors import LedgerError, Overloaded, Refused, StoreError

DateTime = NewType("DateTime", str)
Json = NewType("Json", object)


def _parse_date_time(value: Any) -> DateTime:
    parse_moment(value)
    return DateTime(value)


SCALARS: dict[object, Any] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="A moment: RFC 3339 with a zone. In answers UTC with six decimals: texts sort as moments.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        parse_value=_parse_date_time,
    ),
    Json: strawberry.scalar(
        name="JSON",
        description="Any JSON, up to 1 MiB and 64 levels. Integers beyond 2^53-1 and duplicate keys are refused.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc8259",
        parse_value=lambda value: value,
    ),
}


@strawberry.enum(description="What an entry is.")
class Kind(Enum):
    belief = word("belief", description="What an agent holds true.")
    approval = word("approval", description="A grant to act.")
    mutation = word("mutation", description="A change of an outside system.")
    dependency = word("dependency", description="An outside thing at a version: document, chunk, policy, tool output.")
    decision = word("decision", description="A choice that was made.")
    context = word("context", description="What a model was given.")
    revocation = word("revocation", description="Withdraws an edition, or the support one entry added.")
    reinstatement = word("reinstatement", description="Lifts withdrawals, or supersessions by another key.")
    verification = word("verification", description="Somebody looked again, or said the same again.")
    justification = word("justification", description="A repetition that added support or superseded more keys.")
    attempt = word("attempt", description="What was withheld: repetitions of what is withdrawn, condemned content.")
    expiry = word("expiry", description="Notes that a `validUntil` has passed.")


@strawberry.enum(description="The kinds of entry that say something; all others do something to what was said.")
class RecordKind(Enum):
    belief = word("belief", description="What an agent holds true.")
    approval = word("approval", description="A grant to act.")
    mutation = word("mutation", description="A change of an outside system. An act.")
    dependency = word("dependency", description="An outside thing at a version. It must have a key.")
    decision = word("decision", description="A choice that was made. An act.")
    context = word("context", description="What a model was given. An act.")


@strawberry.enum(description="What the ledger says of a reference. Unknown is never fresh.")
class State(Enum):
    fresh = word("fresh", description="It stands.")
    stale = word("stale", description="It does not stand, for the reason given.")
    unknown = word("unknown", description="Nothing can be said, for the reason given.")


@strawberry.enum(description="Why something is stale (of several the first in this order), amended, or unknown.")
class Reason(Enum):
    erased = word("erased", description="Stale: its content is gone for good.")
    wrong_from_birth = word("wrong_from_birth", description="Stale: it never should have stood.")
    quarantined = word("quarantined", description="Stale: it is under suspicion.")
    revoked = word("revoked", description="Stale: it stood until it was withdrawn.")
    superseded = word("superseded", description="Stale: another version, or another key, took its place.")
    expired = word("expired", description="Stale: its `validUntil` has passed.")
    diverged = word("diverged", description="Stale: somebody looked and saw other content.")
    unsupported = word("unsupported", description="Stale: none of its justifications stands.")
    unverified = word("unverified", description="Stale: a dependency that was not looked at within `maxAgeS`.")
    amended = word("amended", description="Fresh: it stands; its text was amended since.")
    not_found = word("not_found", description="Unknown: nothing like this was recorded.")
    malformed = word("malformed", description="Unknown: this is no reference.")
    ambiguous = word("ambiguous", description="Unknown: it fits several contents or entries.")
    behind = word("behind", description="Unknown: this process has not heard from the store for too long.")
    unreachable = word("unreachable", description="Unknown: the store did not answer.")


@strawberry.enum(description="What came of a command. None of these is an error.")
class Outcome(Enum):
    recorded = word("recorded", description="A new version that starts a new edition.")
    amended = word("amended", description="A new version that joined the current edition.")
    repeated = word("repeated", description="The current content again: verified, nothing added.")
    justified = word("justified", description="The current content again: support or a supersession was added.")
    withheld = word("withheld", description="The current content again, but something stands against it.")
    condemned = word("condemned", description="This content is wrong from birth, quarantined or erased under this key.")
    revoked = word("revoked", description="Withdrawn.")
    reinstated = word("reinstated", description="Lifted.")
    verified = word("verified", description="Every digest was the recorded one.")
    diverged = word("diverged", description="At least one digest was not the recorded one.")
    expired = word("expired", description="The expiry was noted.")


@strawberry.enum(description="How something is withdrawn.")
class Mode(Enum):
    revoked = word("revoked", description="It stood until now, or until `effectiveAt`.")
    wrong_from_birth = word("wrong_from_birth", description="It never should have stood.")
    quarantined = word("quarantined", description="It is under suspicion.")
    erased = word("erased", description="Final: the content is gone, the entry stays.")


@strawberry.enum(description="What one entry says of another.")
class EdgeType(Enum):
    BECAUSE = word("BECAUSE", description="The source rests on the target.")
    REVOKES = word("REVOKES", description="The source withdrew the target.")
    SUPERSEDES = word("SUPERSEDES", description="The source took the place of the target.")


def _codes(kind: type[LedgerError]) -> dict[str, str]:
    """Every code below a kind of error, and when it is given."""
    found = {} if "code" not in vars(kind) else {kind.code: (kind.__doc__ or "").strip()}
    for inner in kind.__subclasses__():
        found |= _codes(inner)
    return found


# Made of the errors themselves: a code that the tree gains cannot be missing here.
_TOLD = _codes(Refused) | _codes(StoreError) | _codes(Overloaded) | {LedgerError.code: "None of the others."}
_CODES: Any = Enum("ErrorCode", {code: word(code, description=told) for code, told in _TOLD.items()})  # type: ignore[misc]
ErrorCode: Any = strawberry.enum(
    _CODES, description="Why a command was refused, or could not be carried out. Codes are stable."
)
