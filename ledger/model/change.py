"""What watchers of a ledger are told: one change for each batch, in the order of the log."""

from __future__ import annotations

from ledger.model.shown import Shown

CHANGE_FIRST_MAX = 100
"""How many entries a list of a change names at most; the count is always whole."""


class Mention(Shown, frozen=True):
    """An entry of the batch, and what it is about: the version it records, or the one it acts on."""

    id: str  # @57
    kind: str
    ref: str  # pep/440@3, or @42 without key


class Mentions(Shown, frozen=True):
    """How many, and the first of them."""

    count: int = 0
    first: tuple[Mention, ...] = ()


class Turn(Shown, frozen=True):
    """An edition that fell or revived, by its newest version then."""

    id: str
    ref: str
    cause: str  # the entry of this batch that did it, as @57


class Turns(Shown, frozen=True):
    """How many, and the first of them; of what one entry did, the first ten at most."""

    count: int = 0
    first: tuple[Turn, ...] = ()


NO_MENTIONS, NO_TURNS = Mentions(), Turns()


class Change(Shown, frozen=True, kw_only=True):
    """What one batch did to a ledger. A function of the log: told again, it is the same.

    What comes and goes within the batch stands both under `fell` and under `revived`.
    """

    revision: str  # the end of the batch; resume after it
    recorded_at: str
    recorded: Mentions = NO_MENTIONS  # new versions
    withdrawn: Mentions = NO_MENTIONS  # what revocations act on
    reinstated: Mentions = NO_MENTIONS
    expired: Mentions = NO_MENTIONS
    noted: Mentions = NO_MENTIONS  # verifications, added support, attempts
    fell: Turns = NO_TURNS
    revived: Turns = NO_TURNS
