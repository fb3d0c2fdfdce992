"""What the ledger says of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from ledger.clock import format_moment

FRESH, STALE, UNKNOWN = "fresh", "stale", "unknown"

STALE_REASONS = (
    "erased",
    "wrong_from_birth",
    "quarantined",
    "revoked",
    "superseded",
    "expired",
    "diverged",
    "unsupported",
    "unverified",
)
"""Why something is stale; of several reasons the first one is told."""

AMENDED = "amended"
UNKNOWN_REASONS = ("not_found", "malformed", "ambiguous", "behind", "unreachable")


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """`fresh`, `stale` or `unknown`; a function of revision and clock."""

    ref: str
    state: str
    reason: str | None = None
    id: str | None = None  # the entry the reference names, as @42
    cause: str | None = None  # the entry that made it stale, as @57
    successor: str | None = None  # what to use instead, only if that is fresh

    @property
    def fresh(self) -> bool:
        return self.state == FRESH

    def as_dict(self) -> dict[str, Any]:
        return msgspec.to_builtins(self)


@dataclass(frozen=True, slots=True)
class Report:
    """The answer to a check: one verdict for each reference, in the order asked."""

    revision: str
    clock_us: int
    verdicts: Sequence[Verdict]

    @property
    def clock(self) -> str:
        return format_moment(self.clock_us)

    @property
    def fresh(self) -> list[str]:
        """The references that may be used."""
        return [verdict.ref for verdict in self.verdicts if verdict.state == FRESH]

    @property
    def withheld(self) -> list[Verdict]:
        """The verdicts of all others; unknown is never fresh."""
        return [verdict for verdict in self.verdicts if verdict.state != FRESH]

    def as_dict(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "clock": self.clock,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
        }
