"""What commands would do if they were applied now."""

from __future__ import annotations

import msgspec

from ledger.model.result import NO_EFFECT, Effect
from ledger.model.shown import Shown
from ledger.model.verdict import Verdict

IMPACT_NAMES = 100
"""How many names a list holds unless another number is asked for."""

IMPACT_NAMES_MAX = 1_000


class Extent(Shown, frozen=True):
    """How many editions, of which kinds, and the first of them by their newest versions."""

    count: int = 0
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    first: tuple[str, ...] = ()


NO_EXTENT = Extent()


class Prospect(Shown, frozen=True, kw_only=True):
    """What would come of one command. Numbers are those that it would get if it were the next that is recorded."""

    outcome: str
    entry: str
    ref: str
    verdict: Verdict
    replayed: bool = False
    stands: tuple[str, ...] = ()
    fell: Effect = NO_EFFECT
    revived: Effect = NO_EFFECT


class Impact(Shown, frozen=True, kw_only=True):
    """What a batch would do to the ledger as of `revision` and `clock`; nothing of it has been done.

    `fell` and `revived` are the difference it makes in the end. `digest` is that of exactly this: a batch that carries
    it as `expects_impact` does what was shown here, or is refused.
    """

    revision: str
    clock: str
    digest: str
    fell: Extent = NO_EXTENT
    revived: Extent = NO_EXTENT
    remediation: Effect = NO_EFFECT  # acts that would newly need repair
    results: tuple[Prospect, ...] = ()  # one for each command, in order
