"""What the ledger says of a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ledger.clock import format_moment
from ledger.model.shown import Shown

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

STATES = (FRESH, STALE, UNKNOWN)
REASONS = (*STALE_REASONS, AMENDED, *UNKNOWN_REASONS)


class Verdict(Shown, frozen=True):
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

    @property
    def plain(self) -> bool:
        """Whether it says no more than fresh."""
        return self.state == FRESH and self.reason is None


Found = int | Verdict
"""What a check found of a reference: the seq of a fresh version, or the verdict of anything else."""


class Report(msgspec.Struct, frozen=True, gc=False):
    """The answer to a check: one verdict for each reference, in the order asked."""

    revision: str
    clock_us: int
    refs: Sequence[str]
    found: tuple[Found, ...]

    @property
    def clock(self) -> str:
        return format_moment(self.clock_us)

    @property
    def verdicts(self) -> list[Verdict]:
        """All verdicts. Those of fresh references are made here: most callers ask only for what was withheld."""
        pairs = zip(self.refs, self.found, strict=True)
        return [Verdict(ref, FRESH, None, f"@{one}") if type(one) is int else one for ref, one in pairs]  # type: ignore[misc]

    @property
    def fresh(self) -> list[str]:
        """The references that may be used."""
        pairs = zip(self.refs, self.found, strict=True)
        return [ref for ref, one in pairs if type(one) is int or one.state == FRESH]  # type: ignore[union-attr]

    @property
    def withheld(self) -> list[Verdict]:
        """The verdicts of all others; unknown is never fresh."""
        return [one for one in self.found if type(one) is not int and one.state != FRESH]  # type: ignore[misc,union-attr]

    def as_dict(self) -> dict[str, Any]:
        return {
            "revision": self.revision,
            "clock": self.clock,
            "verdicts": [verdict.as_dict() for verdict in self.verdicts],
        }
