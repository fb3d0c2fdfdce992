"""What is known of a ledger's validity, as columns of numbers, and how to look things up in them.

As of now that is `Index`, as of then `Past`: whoever reads is handed one of them and need not know which.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar, overload

from ledger.model.entry import KINDS
from ledger.model.verdict import STALE_REASONS
from ledger.validity.rolls import Rolls

# One bit for each reason an edition can have of its own, in the order of the contract: the lowest bit is the reason.
ERASED, WRONG_FROM_BIRTH, QUARANTINED, REVOKED, SUPERSEDED, EXPIRED, DIVERGED = (1 << bit for bit in range(7))
MODE_FLAGS = dict(zip(STALE_REASONS[:4], (ERASED, WRONG_FROM_BIRTH, QUARANTINED, REVOKED), strict=True))
CONDEMNING = ERASED | WRONG_FROM_BIRTH | QUARANTINED
WITHDRAWN = CONDEMNING | REVOKED

KIND_NAMES = tuple(KINDS)
KIND_CODES = {name: code for code, name in enumerate(KIND_NAMES)}
DEPENDENCY = KIND_CODES["dependency"]
MUTATION = KIND_CODES["mutation"]

NONE = -1


class Withdrawal(NamedTuple):
    """A revocation that stands on an edition or on an added justification."""

    seq: int
    flag: int
    moment_us: int


class Supersession(NamedTuple):
    """An edition that supersedes a key: the entry that said so, and the edition it belongs to."""

    seq: int
    edition: int


class Limit(NamedTuple):
    """When an edition expires, and who said so. `ahead`: it was set before it passed, so its passing is news."""

    moment_us: int
    seq: int
    ahead: bool


class Divergence(NamedTuple):
    """The first entry that saw another digest, and the latest digest seen."""

    seq: int
    observed: bytes


T_co = TypeVar("T_co", covariant=True)


class Column(Protocol):
    """Numbers by their place: an `array`, or what it held then."""

    def __getitem__(self, place: int, /) -> int: ...


class Rare(Protocol[T_co]):
    """What only some places have: a dict, or what it held then."""

    def __getitem__(self, place: Any, /) -> T_co: ...

    @overload
    def get(self, place: Any, /) -> T_co | None: ...

    @overload
    def get(self, place: Any, default: Any, /) -> T_co | Any: ...


class Lookup:
    """One ledger's validity as of an entry and a clock.

    Entries are found by seq, editions, justifications, edges and keys by their row. Rare facts (withdrawals, expiry,
    divergence, supersession by other keys) are dicts.
    """

    clock_us: int
    upto: int
    """The last entry it knows."""

    # Entries, by seq; row 0 is nobody.
    kind: bytearray
    subject: array[int]  # the record or added justification it is about: often itself; 0: several
    edition: array[int]  # of the subject
    version: array[int]
    previous: array[int]  # the version before, of the same key; of added support: the version it is for
    digest: bytearray

    # Editions, in the order they were born.
    key_of: array[int]
    birth: array[int]
    newest: Column  # its newest version
    older: array[int]  # the edition of the same key born before it
    younger: Column
    flags: Column
    valid: Column
    standing: Column  # justifications that stand
    first_justification: Column  # the newest one; NONE: a ground
    first_use: Column  # the newest edge that leans on it
    first_event: Column  # the newest event about it
    checked_us: Column
    checked_by: Column

    # Justifications, and the edges from each to its premises (one run of rows each).
    supports: array[int]  # the edition
    fallen: Column  # premises that are not valid
    entry_of: array[int]  # the entry that gave it
    next_justification: array[int]  # of the same edition, older
    edges_from: array[int]  # where its edges start; the next row's start is their end
    premise: array[int]
    leans: array[int]  # the justification this edge belongs to
    next_use: array[int]  # of the same premise, older

    # Events, a row for each edition they are about.
    event_entry: array[int]
    next_event: array[int]  # about the same edition, older

    # Keys.
    keys: Rare[int]  # by name
    key_names: list[str]  # the first `key_count` are known
    key_count: int
    key_kind: bytearray
    youngest: Column  # latest-born edition
    current: Column  # latest-born edition not wrong from birth; NONE: all are
    newest_of_key: Column  # newest version
    rolls: Rolls  # of today: versions that came later are in them

    # Rare facts.
    withdrawals: Rare[Sequence[Withdrawal]]  # standing, by edition
    support_withdrawals: Rare[Sequence[Withdrawal]]  # standing, by added entry
    added: dict[int, tuple[int, int]]  # added entry -> its rows of justifications, from and to
    superseded_by: Rare[Sequence[Supersession]]  # by key, those not lifted
    limits: Rare[Limit]  # by edition
    divergences: Rare[Divergence]
    acted_us: dict[int, int]  # by mutation's edition, when it was executed

    memo: dict[Any, Any]
    """For readers; emptied whenever anything changes."""
    causes: dict[int, int]
    """By edition, as readers found them; without an age for what counts as fallen."""

    _checked_floor: dict[int, int]

    def versions(self, key: int) -> Iterator[int]:
        """Versions of a key by seq, newest first."""
        seq = self.newest_of_key[key]
        while seq:
            yield seq
            seq = self.previous[seq]

    def versions_of_edition(self, edition: int) -> Iterator[int]:
        """Versions of an edition by seq, newest first."""
        seq, birth = self.newest[edition], self.birth[edition]
        while seq >= birth and seq:
            if self.edition[seq] == edition:
                yield seq
            seq = self.previous[seq]

    def editions(self, key: int) -> Iterator[int]:
        """Editions of a key, latest born first."""
        edition = self.youngest[key]
        while edition != NONE:
            yield edition
            edition = self.older[edition]

    def current_version(self, key: int) -> int:
        """The seq a bare key means: its current version, else (all wrong from birth) its newest."""
        edition = self.current[key]
        return self.newest_of_key[key] if edition == NONE else self.newest[edition]

    def digest_at(self, seq: int) -> bytes:
        """The 32 bytes of a version's content digest."""
        return bytes(self.digest[32 * seq : 32 * seq + 32])

    def digest_text(self, seq: int) -> str:
        """The same as commands and references carry it."""
        return "sha256:" + self.digest_at(seq).hex()

    def justifications(self, edition: int) -> Iterator[int]:
        """Rows of an edition's justifications, newest first."""
        row = self.first_justification[edition]
        while row != NONE:
            yield row
            row = self.next_justification[row]

    def premises(self, justification: int) -> array[int]:
        """The editions a justification rests on."""
        return self.premise[self.edges_from[justification] : self.edges_from[justification + 1]]

    def uses(self, edition: int) -> Iterator[int]:
        """Rows of the justifications that lean on an edition, newest first."""
        return self.uses_from(self.first_use[edition])

    def uses_from(self, edge: int) -> Iterator[int]:
        """The same, from one of its edges on."""
        while edge != NONE:
            yield self.leans[edge]
            edge = self.next_use[edge]

    def events(self, edition: int) -> Iterator[int]:
        """Entries about an edition that are no versions of it, newest first; supersessions by other keys too."""
        row = self.first_event[edition]
        while row != NONE:
            yield self.event_entry[row]
            row = self.next_event[row]

    def is_ground(self, edition: int) -> bool:
        return self.first_justification[edition] == NONE

    def is_record(self, seq: int) -> bool:
        return self.subject[seq] == seq and seq not in self.added

    def effective_supersessions(self, key: int) -> Iterator[Supersession]:
        """Supersessions of a key that count, newest first: not lifted, and not by an edition wrong from birth."""
        for one in reversed(self.superseded_by.get(key, ())):
            if not self.flags[one.edition] & WRONG_FROM_BIRTH:
                yield one

    def fell_with(self, edition: int) -> int:
        """The entry that felled an edition which lies with its support, if that must be its cause; 0: look for it."""
        return 0

    def checked_floor(self, edition: int) -> int:
        """The oldest `checked_us` among the dependencies a valid edition rests on, itself included.

        Of several justifications the best counts, as for validity itself: under `max_age` the edition stands if and
        only if this is recent enough. Computed for what is asked, over distinct ancestors, and kept until a change.
        """
        floors = self._checked_floor
        if edition in floors:
            return floors[edition]
        stack = [edition]
        while stack:
            top = stack[-1]
            if top in floors:
                stack.pop()
                continue
            waiting = [
                premise
                for row in self.standing_justifications(top)
                for premise in self.premises(row)
                if premise not in floors
            ]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            floors[top] = min(self._own_floor(top), self.support_floor(top))
        return floors[edition]

    def support_floor(self, edition: int) -> int:
        """The same for what it rests on alone. Its premises' floors must be known (ask `checked_floor` first)."""
        if self.is_ground(edition):
            return _EVER
        return max(
            (
                min(self._checked_floor[premise] for premise in self.premises(row))
                for row in self.standing_justifications(edition)
            ),
            default=0,
        )

    def standing_justifications(self, edition: int) -> list[int]:
        """Rows of the justifications that stand."""
        return [row for row in self.justifications(edition) if not self.fallen[row] and not self.withdrawn_support(row)]

    def withdrawn_support(self, justification: int) -> Sequence[Withdrawal]:
        """Standing withdrawals of an added justification."""
        return self.support_withdrawals.get(self.entry_of[justification], ()) if self.support_withdrawals else ()

    def _own_floor(self, edition: int) -> int:
        return self.checked_us[edition] if self.kind[self.birth[edition]] == DEPENDENCY else _EVER


_EVER = 1 << 62
