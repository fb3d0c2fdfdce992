"""Validity by definition, from nothing but the log: slow, short, and meant to be read beside the laws.

It shares no code with the index, so that `audit` and property tests can hold the two against each other.
The log is told once, in order, which gives what was done to each edition; every question is then answered
from that alone, by asking the editions again and again until nothing changes. Nothing is counted or kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from msgspec import UNSET

from ledger.errors import Ambiguous, NotFound, Refused
from ledger.model.entry import (
    Attempt,
    Entry,
    Event,
    Justification,
    Record,
    Reinstatement,
    Revocation,
    Verification,
)
from ledger.model.reference import parse_reference
from ledger.model.verdict import AMENDED, FRESH, STALE, UNKNOWN, Verdict

_MODES = ("erased", "wrong_from_birth", "quarantined", "revoked")


@dataclass(eq=False, slots=True)
class _Thing:
    """What a key is about, or a record without key."""

    versions: list[Record] = field(default_factory=list)
    editions: list[_Edition] = field(default_factory=list)  # in the order they were born
    superseded_by: dict[int, _Edition] = field(default_factory=dict)  # by entries of other keys, not lifted

    def current(self) -> _Edition | None:
        return next((edition for edition in reversed(self.editions) if not edition.wrong_from_birth), None)

    def superseding(self) -> list[int]:
        """The entries of other keys that supersede this one now."""
        return [seq for seq, edition in self.superseded_by.items() if not edition.wrong_from_birth]


@dataclass(eq=False, slots=True)
class _Edition:
    """A run of versions joined by amendments, and what the log has done to it."""

    thing: _Thing
    rank: int  # among the editions of its thing
    versions: list[Record] = field(default_factory=list)
    justifications: list[_Justification] = field(default_factory=list)
    withdrawals: _Withdrawals = field(default_factory=dict)
    valid_until: tuple[int, int] | None = None  # the moment, and the entry that set it
    checked: tuple[int, int] = (0, 0)  # the moment, and the entry that moved it there
    diverged: tuple[int, str] | None = None  # first entry that observed another digest, last such digest

    @property
    def newest(self) -> Record:
        return self.versions[-1]

    @property
    def wrong_from_birth(self) -> bool:
        return any(revocation.mode == "wrong_from_birth" for revocation in self.withdrawals.values())

    def check(self, entry: Entry) -> None:
        if not self.checked[1] or entry.moment_us >= self.checked[0]:
            self.checked = (entry.moment_us, entry.seq)

    def observe(self, entry: Entry, digest: str, looked_at: str) -> None:
        """`looked_at` was the newest version's digest then; in the same batch it may have been amended since."""
        if digest in (looked_at, self.newest.digest):
            self.diverged = None
            self.check(entry)
        else:
            self.diverge(entry, digest)

    def diverge(self, entry: Entry, digest: str) -> None:
        self.diverged = (self.diverged[0] if self.diverged else entry.seq, digest)

    def limit(self, entry: Record | Verification | Justification) -> None:
        if entry.valid_until_us is not UNSET:
            self.valid_until = None if entry.valid_until_us is None else (entry.valid_until_us, entry.seq)

    def supported(self, stands: Callable[[_Edition], bool]) -> bool:
        """A ground, or one justification that is not withdrawn and whose premises all stand."""
        return not self.justifications or any(
            not withdrawals and all(map(stands, premises)) for premises, withdrawals in self.justifications
        )

    def superseding(self) -> list[int]:
        """The entries that supersede it now; of the later editions of its own key the first is enough."""
        later = (self.thing.editions[rank] for rank in range(self.rank + 1, len(self.thing.editions)))
        heir = next((edition for edition in later if not edition.wrong_from_birth), None)
        return self.thing.superseding() + ([heir.versions[0].seq] if heir else [])

    def felled(self, clock_us: int) -> tuple[str, int] | None:
        """The first reason that holds of this edition whatever it rests on, with its cause."""
        for mode in _MODES:
            if standing := [seq for seq, revocation in self.withdrawals.items() if revocation.mode == mode]:
                return mode, min(standing)
        if superseding := self.superseding():
            return "superseded", min(superseding)
        if self.valid_until and self.valid_until[0] <= clock_us:
            return "expired", self.valid_until[1]
        return ("diverged", self.diverged[0]) if self.diverged else None

    def aged(self, clock_us: int, max_age_us: int | None) -> bool:
        if max_age_us is None or self.newest.kind != "dependency":
            return False
        return clock_us - self.checked[0] > max_age_us


_Withdrawals = dict[int, Revocation]  # those that stand, by their entry
_Justification = tuple[list[_Edition], _Withdrawals]  # its premises; withdrawn by whatever withdrew its entry
_Fallen = dict[_Edition, tuple[str, int | None]]  # all that is not in, with reason and cause


class Oracle:
    """What a log means, at any clock. For an earlier revision, give it only that much of the log."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries: dict[int, Entry] = {}
        self._things: dict[str, _Thing] = {}
        self._editions: list[_Edition] = []  # in the order they were born
        self._edition_of: dict[int, _Edition] = {}  # by the seq of each version
        self._withdrawals_of: dict[int, _Withdrawals] = {}  # by the seq of each version and justification
        self._answers: dict[tuple[int, int | None], _Fallen] = {}  # the pages judged already
        for entry in entries:
            self._entries[entry.seq] = entry
            self._tell(entry)

    def _tell(self, entry: Entry) -> None:
        match entry:
            case Record():
                edition = self._joined(entry)
                edition.versions.append(entry)
                edition.check(entry)
                if edition.diverged and edition.diverged[1] == entry.digest:
                    edition.diverged = None
                edition.limit(entry)
                self._supersede(edition, entry)
            case Verification():
                for target, digest in zip(entry.targets, entry.observed, strict=True):
                    self._edition_of[target].observe(entry, digest, self._digest_of(target))
                    self._edition_of[target].limit(entry)
            case Justification():
                edition = self._edition_of[entry.targets[0]]
                edition.observe(entry, edition.newest.digest, edition.newest.digest)
                edition.limit(entry)
                self._support(edition, entry, self._withdrawals_of.setdefault(entry.seq, {}))
                self._supersede(edition, entry)
            case Attempt():
                for contradicted, digest in zip(entry.contradicts, entry.observed, strict=False):
                    if contradicted:
                        self._edition_of[contradicted].diverge(entry, digest)
            case Revocation():
                for target in entry.targets:
                    self._withdrawals_of[target][entry.seq] = entry
            case Reinstatement():
                for lifted in entry.lifts:
                    self._withdrawals_of[entry.targets[0]].pop(lifted, None)
                    if target_edition := self._edition_of.get(entry.targets[0]):
                        target_edition.thing.superseded_by.pop(lifted, None)

    def _joined(self, record: Record) -> _Edition:
        """The edition of a version: the current one if it amends (nothing else can be), or a new one."""
        thing = _Thing() if record.key is None else self._things.setdefault(record.key, _Thing())
        edition = None if record.amends is None else thing.current()
        if edition is None:
            edition = _Edition(thing, rank=len(thing.editions))
            thing.editions.append(edition)
            self._editions.append(edition)
            self._support(edition, record, {})  # what it was born with is not withdrawn alone
        thing.versions.append(record)
        self._edition_of[record.seq] = edition
        self._withdrawals_of[record.seq] = edition.withdrawals
        return edition

    def _support(self, edition: _Edition, entry: Record | Justification, withdrawals: _Withdrawals) -> None:
        """The justifications of one entry, which are withdrawn together."""
        for premises in entry.because:
            edition.justifications.append(([self._edition_of[seq] for seq in premises], withdrawals))

    def _supersede(self, edition: _Edition, entry: Record | Justification) -> None:
        for seq in entry.supersedes:
            self._edition_of[seq].thing.superseded_by[entry.seq] = edition

    def _digest_of(self, seq: int) -> str:
        entry = self._entries[seq]
        assert isinstance(entry, Record)
        return entry.digest

    def _fallen(self, clock_us: int, max_age_us: int | None = None) -> _Fallen:
        if (clock_us, max_age_us) not in self._answers:
            self._answers[clock_us, max_age_us] = self._judge(clock_us, max_age_us)
        return self._answers[clock_us, max_age_us]

    def _judge(self, clock_us: int, max_age_us: int | None) -> _Fallen:
        felled = {edition: edition.felled(clock_us) for edition in self._editions}
        standing: set[_Edition] = set()  # the least such set: nothing holds itself up

        def stands(edition: _Edition) -> bool:
            if edition.supported(standing.__contains__):
                standing.add(edition)
            return edition in standing

        able = [e for e in self._editions if not felled[e] and not e.aged(clock_us, max_age_us)]
        _until_stable(able, stands)
        fallen: _Fallen = {}
        for edition in self._editions:
            if reason := felled[edition]:
                fallen[edition] = reason
            elif not edition.supported(standing.__contains__):
                fallen[edition] = ("unsupported", None)
            elif edition not in standing:
                fallen[edition] = ("unverified", edition.checked[1])
        _until_stable((e for e in fallen if fallen[e][1] is None), lambda e: _trace(e, fallen))
        return fallen

    def states(self, clock_us: int) -> dict[int, tuple[str, str | None]]:
        """State and reason of every version, by its seq."""
        fallen = self._fallen(clock_us)
        return {seq: _state(edition, seq, fallen) for seq, edition in self._edition_of.items()}

    def remediation(self, clock_us: int) -> tuple[list[int], list[int]]:
        """Mutations (their newest versions) that lost all support: those to repair, those only lapsed."""
        fallen = self._fallen(clock_us)
        gone: dict[_Edition, float] = {}  # since when something it rests on is gone, looking along the fallen

        def look_down(edition: _Edition) -> bool:
            below = [e for premises, _ in edition.justifications for e in premises if e in fallen]
            if any(premise not in gone for premise in below):
                return False
            standing = [withdrawals for _, withdrawals in edition.justifications]
            standing += [premise.withdrawals for premise in below]
            moments = [_gone_since(each) for withdrawals in standing for each in withdrawals.values()]
            gone[edition] = min(moments + [gone[premise] for premise in below], default=math.inf)
            return True

        _until_stable(fallen, look_down)
        to_repair: list[int] = []
        lapsed: list[int] = []
        for act in fallen:
            if act.newest.kind == "mutation" and not act.supported(lambda premise: premise not in fallen):
                too_late = gone.get(act, math.inf) < act.versions[0].moment_us
                (to_repair if too_late else lapsed).append(act.newest.seq)
        return sorted(to_repair), sorted(lapsed)

    def resolve(self, ref: str) -> int:
        """The seq of the version a reference names. Raises Malformed, NotFound, Ambiguous."""
        reference = parse_reference(ref)
        if reference.seq is not None:
            return self._acted_on(ref, reference.seq)
        thing = self._things.get(reference.key or "")
        if thing is None:
            raise NotFound(f"no entry has the key {reference.key!r}")
        if reference.version is None and reference.digest is None:
            current = thing.current()
            return (current.newest if current else thing.versions[-1]).seq
        if reference.version is not None:
            found = [record for record in thing.versions if record.version == reference.version]
        else:
            prefix = f"sha256:{reference.digest}"
            found = [record for record in thing.versions if record.digest.startswith(prefix)]
        if not found:
            raise NotFound(f"{ref!r}: {reference.key!r} has no such version")
        if len({record.digest for record in found}) > 1:
            raise Ambiguous(f"{ref!r} fits the digests of different contents")
        return found[-1].seq

    def _acted_on(self, ref: str, seq: int) -> int:
        """A version itself; of an event, the one thing it acts on."""
        entry = self._entries.get(seq)
        if entry is None:
            raise NotFound(f"{ref!r}: the log has no entry {seq}")
        if not isinstance(entry, Event):
            return seq
        if len(set(entry.targets)) != 1:
            raise Ambiguous(f"{ref!r}: entry {seq} acts on several entries")
        return self._acted_on(ref, entry.targets[0])

    def verdict(self, ref: str, clock_us: int, max_age_us: int | None = None) -> Verdict:
        """What the ledger says of a reference. Never raises: what cannot be resolved is unknown."""
        fallen = self._fallen(clock_us, max_age_us)
        try:
            seq = self.resolve(ref)
        except NotFound as error:
            thing = self._things.get(parse_reference(ref).key or "")
            current = thing.current() if thing else None
            instead = _name(current) if current and current not in fallen else None
            return Verdict(ref, UNKNOWN, error.code, successor=instead)
        except Refused as error:
            return Verdict(ref, UNKNOWN, error.code)
        edition = self._edition_of[seq]
        state, reason = _state(edition, seq, fallen)
        if state == FRESH:
            return Verdict(ref, state, reason, f"@{seq}")
        cause = None if fallen[edition][1] is None else f"@{fallen[edition][1]}"
        return Verdict(ref, state, reason, f"@{seq}", cause, _successor(edition, fallen))


def _until_stable(editions: Iterable[_Edition], settle: Callable[[_Edition], bool]) -> None:
    """Offer each edition to `settle` until it says yes, or until a whole pass settles none."""
    left = list(editions)
    while left:
        unsettled = [edition for edition in left if not settle(edition)]
        if len(unsettled) == len(left):
            return
        # Most support points to older editions, some of what was added to newer ones. Going to and fro, a
        # chain of 10,000 in either direction takes two passes instead of 10,000.
        left = unsettled[::-1]


def _trace(edition: _Edition, fallen: _Fallen) -> bool:
    """The cause of an unsupported edition: of what felled each justification first, the latest."""
    causes = []
    for premises, withdrawals in edition.justifications:
        felled_by = [fallen[premise][1] for premise in premises if premise in fallen]
        known = list(withdrawals) or [cause for cause in felled_by if cause is not None]
        if not withdrawals and len(known) < len(felled_by):
            return False
        causes.append(min(known))
    fallen[edition] = ("unsupported", max(causes))
    return True


def _state(edition: _Edition, seq: int, fallen: _Fallen) -> tuple[str, str | None]:
    if edition in fallen:
        return STALE, fallen[edition][0]
    return FRESH, None if seq == edition.newest.seq else AMENDED


def _successor(start: _Edition, fallen: _Fallen) -> str | None:
    """Step by step to the latest superseding edition, another key's before its own; only if fresh."""
    edition, seen = start, set[_Edition]()
    while edition not in seen:  # circles are refused; in a log that holds one all the same, this still ends
        seen.add(edition)
        across, heir = edition.thing.superseding(), edition.thing.current()
        if across:
            edition = edition.thing.superseded_by[max(across)]
        elif heir and heir.rank > edition.rank:
            edition = heir
    return None if edition is start or edition in fallen else _name(edition)


def _name(edition: _Edition) -> str:
    newest = edition.newest
    return f"@{newest.seq}" if newest.key is None else f"{newest.key}@{newest.version}"


def _gone_since(withdrawal: Revocation) -> float:
    """As of when what is withdrawn no longer stood; of what never should have stood, as of ever."""
    return -math.inf if withdrawal.mode in ("wrong_from_birth", "quarantined") else withdrawal.moment_us
