"""What a write answers."""

from __future__ import annotations

from ledger.model.shown import Shown
from ledger.model.verdict import Verdict

FIRST_MAX = 10
"""How many ids of what fell or revived an answer names; the count is always whole."""


class Effect(Shown, frozen=True):
    """What a command did to the validity of what was there before: how many editions, and the first of them."""

    count: int = 0
    first: tuple[str, ...] = ()


NO_EFFECT = Effect()


class Result(Shown, frozen=True, kw_only=True):
    """The answer to one command."""

    # recorded, amended, repeated, justified, withheld, condemned; revoked, reinstated, verified, diverged, expired
    outcome: str
    entry: str  # the entry that answers it, as @42
    ref: str  # the version it is about, as pep/440@3 (or @42 without key)
    verdict: Verdict  # of that version, at the end of the batch
    revision: str  # the end of the batch
    replayed: bool = False
    stands: tuple[str, ...] = ()  # what stands against it, when withheld or condemned
    fell: Effect = NO_EFFECT
    revived: Effect = NO_EFFECT


class BatchResult(Shown, frozen=True, kw_only=True):
    """The answers to a batch, one for each command in order."""

    revision: str
    results: tuple[Result, ...]
    replayed: bool = False
