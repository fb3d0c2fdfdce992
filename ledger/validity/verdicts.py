"""Verdicts and their reasons: why something is stale, since which entry, and what to use instead (law 14)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from ledger.errors import Ambiguous, Malformed, NotFound
from ledger.model.reference import Reference, parse_reference
from ledger.model.verdict import AMENDED, FRESH, STALE, STALE_REASONS, UNKNOWN, Found, Verdict
from ledger.validity.index import Index
from ledger.validity.lookup import NONE, SUPERSEDED, WITHDRAWN, WRONG_FROM_BIRTH, Lookup
from ledger.validity.past import Past
from ledger.validity.resolve import name_of, record_named, resolve

_REASON_OF_FLAG = {1 << bit: reason for bit, reason in enumerate(STALE_REASONS[:7])}
_UNSUPPORTED, _UNVERIFIED = "unsupported", "unverified"
_NEVER = 1 << 62


class Step(NamedTuple):
    """One step from a root cause to what it felled: an entry, and why it does not stand (None: it is the event)."""

    seq: int
    reason: str | None


def reason_of(flags: int, valid: int) -> str | None:
    """Why an edition in such a state is stale, its age aside: the first reason that holds. None if it is fresh."""
    if flags:
        return _REASON_OF_FLAG[flags & -flags]
    return None if valid else _UNSUPPORTED


class Reader:
    """Reads an index as of its clock; with `max_age_us`, dependencies not verified since then count as fallen."""

    def __init__(self, index: Lookup, max_age_us: int | None = None) -> None:
        self.index = index
        self.cutoff_us = None if max_age_us is None else index.clock_us - max_age_us
        # Causes depend on the cutoff, which moves with the clock; without one the index knows how long they hold.
        self._causes: dict[int, int] = {} if max_age_us is not None else index.causes
        self._latest: dict[int, int] = {}  # successors: of a chain each edition has the same

    def check(self, refs: Sequence[str]) -> tuple[Found, ...]:
        """The verdict of each reference in the order asked, a fresh one as its seq. Never raises for a reference."""
        index = self.index
        if self.cutoff_us is None and isinstance(index, Index):
            return self._check_now(index, refs)
        if self.cutoff_us is None and isinstance(index, Past):
            return self._check_then(index, refs)
        return tuple(map(self.verdict, refs))

    # The hot path, written out for now and for then, so that a check of now pays nothing for the past.

    def _check_now(self, index: Index, refs: Sequence[str]) -> tuple[Found, ...]:
        if _are_keys(refs):
            try:
                return self._check_keys(index, refs)
            except (KeyError, TypeError):
                pass  # not all of them are keys
        keys, current, newest, valid = index.keys, index.current, index.newest, index.valid
        newest_of_key, digest_texts, edition_of = index.newest_of_key, index.digest_texts, index.edition
        found: list[Found] = []
        # A key, or a key with the whole digest of its newest version, that is valid. Everything else, odd references
        # among it, goes the long way.
        for ref in refs:
            try:
                name, digest_follows, text = ref.rpartition("@sha256:")
                if digest_follows:
                    seq = newest_of_key[keys[name]]
                    if digest_texts[seq] == text and valid[edition_of[seq]]:
                        found.append(seq)
                        continue
                else:
                    edition = current[keys[ref]]
                    if edition >= 0 and valid[edition]:
                        found.append(newest[edition])
                        continue
            except (KeyError, AttributeError, TypeError):
                pass
            found.append(self.verdict(ref))
        return tuple(found)

    def _check_keys(self, index: Index, refs: Sequence[str]) -> tuple[Found, ...]:
        """The same for keys alone, column by column: half the time of a loop. Raises KeyError if one is none."""
        editions = itemgetter(*itemgetter(*refs)(index.keys))(index.current)
        at_each = itemgetter(*editions)
        stand = at_each(index.valid)
        newest: tuple[int, ...] = at_each(index.newest)
        if all(stand) and NONE not in editions:
            return newest
        return tuple(
            seq if valid and edition != NONE else self.verdict(ref)
            for ref, edition, valid, seq in zip(refs, editions, stand, newest, strict=True)
        )

    def _check_then(self, past: Past, refs: Sequence[str]) -> tuple[Found, ...]:
        """The same of a past one: what is valid now and has not changed since was so then."""
        index = past.today
        if _are_keys(refs):
            try:
                return self._check_keys_then(past, index, refs)
            except (KeyError, TypeError):
                pass
        keys, current, newest, valid = index.keys, index.current, index.newest, index.valid
        newest_of_key, digest_texts, edition_of = index.newest_of_key, index.digest_texts, index.edition
        latest, changes, upto = index.changes.last, past.changes, past.upto
        found: list[Found] = []
        for ref in refs:
            try:
                name, digest_follows, text = ref.rpartition("@sha256:")
                if digest_follows:
                    seq = newest_of_key[keys[name]]
                    edition = edition_of[seq] if digest_texts[seq] == text else NONE
                else:
                    edition = current[keys[ref]]
                    seq = newest[edition] if edition >= 0 else 0
                if edition >= 0 and seq <= upto and latest[edition] < changes and valid[edition]:
                    found.append(seq)
                    continue
            except (KeyError, AttributeError, TypeError):
                pass
            found.append(self.verdict(ref))
        return tuple(found)

    def _check_keys_then(self, past: Past, index: Index, refs: Sequence[str]) -> tuple[Found, ...]:
        editions = itemgetter(*itemgetter(*refs)(index.keys))(index.current)
        at_each = itemgetter(*editions)
        stand, latest = at_each(index.valid), at_each(index.changes.last)
        newest: tuple[int, ...] = at_each(index.newest)
        changes, upto = past.changes, past.upto
        if all(stand) and NONE not in editions and max(latest) < changes and max(newest) <= upto:
            return newest
        return tuple(
            seq if valid and edition != NONE and change < changes and seq <= upto else self.verdict(ref)
            for ref, edition, valid, change, seq in zip(refs, editions, stand, latest, newest, strict=True)
        )

    def verdict(self, ref: str) -> Verdict:
        """What the ledger says of one reference; unknown, never an error, for what cannot be resolved."""
        if not isinstance(ref, str):
            return Verdict(repr(ref), UNKNOWN, "malformed")
        try:
            return self.verdict_of(record_named(self.index, resolve(self.index, ref, hint=False)), ref)
        except Malformed:
            return Verdict(ref, UNKNOWN, "malformed")
        except Ambiguous:
            return Verdict(ref, UNKNOWN, "ambiguous")
        except NotFound:
            return Verdict(ref, UNKNOWN, "not_found", successor=self._fresh_current(parse_reference(ref)))

    def verdict_of(self, seq: int, ref: str | None = None) -> Verdict:
        """The verdict of a record by its seq."""
        edition = self.index.edition[seq]
        state, reason = self.state(seq)
        ref = name_of(self.index, seq) if ref is None else ref
        if state == FRESH:
            return Verdict(ref, state, reason, f"@{seq}")
        return Verdict(ref, state, reason, f"@{seq}", f"@{self.cause(edition)}", self.successor(edition))

    def state(self, seq: int) -> tuple[str, str | None]:
        """State and reason of a record, without looking for cause and successor."""
        edition = self.index.edition[seq]
        reason = self.reason(edition)
        if reason is not None:
            return STALE, reason
        return FRESH, None if seq == self.index.newest[edition] else AMENDED

    def reason(self, edition: int) -> str | None:
        """Why an edition is stale: the first reason that holds. None if it is fresh."""
        index = self.index
        reason = reason_of(index.flags[edition], index.valid[edition])
        if reason is not None or self.cutoff_us is None or index.checked_floor(edition) >= self.cutoff_us:
            return reason
        return _UNSUPPORTED if index.support_floor(edition) < self.cutoff_us else _UNVERIFIED

    def has_fallen(self, edition: int) -> bool:
        """Whether the edition does not stand, age included."""
        if not self.index.valid[edition]:
            return True
        return self.cutoff_us is not None and self.index.checked_floor(edition) < self.cutoff_us

    def cause(self, edition: int) -> int:
        """The entry that made a stale edition stale."""
        causes = self._causes
        runs = [[edition]]  # in a run each edition fell because the next one did, and shares its cause
        while runs:
            run = runs[-1]
            last = run[-1]
            cause = causes.get(last)
            if cause is None:
                cause, unknown, alone = self._cause_as_far_as_known(last)
                if alone and unknown:
                    run += unknown
                    continue
                if unknown:
                    runs += [[premise] for premise in unknown]
                    continue
            causes.update(dict.fromkeys(run, cause))
            runs.pop()
        return causes[edition]

    def _cause_as_far_as_known(self, edition: int) -> tuple[int, list[int], bool]:
        """The cause of a stale edition; the premises to ask first; whether it shares the cause of the only one."""
        index = self.index
        if index.flags[edition] or (self.cutoff_us is not None and self.reason(edition) != _UNSUPPORTED):
            return self._own_cause(edition), [], True
        if self.cutoff_us is None and (felled := index.fell_with(edition)):
            return felled, [], True
        unknown: list[int] = []
        row = first = index.first_justification[edition]
        latest = 0
        while row != NONE:
            earliest = self._cause_of_fall(row, unknown)
            if earliest > latest:
                latest = earliest
            row = index.next_justification[row]
        return latest, unknown, latest == _NEVER and len(unknown) == 1 and index.next_justification[first] == NONE

    def _cause_of_fall(self, row: int, unknown: list[int]) -> int:
        """The cause of a justification that does not stand, over the premises whose causes are known."""
        index, causes = self.index, self._causes
        if withdrawn := index.withdrawn_support(row):
            return min(one.seq for one in withdrawn)
        earliest, valid = _NEVER, index.valid
        for premise in index.premise[index.edges_from[row] : index.edges_from[row + 1]]:
            if valid[premise] and (self.cutoff_us is None or not self.has_fallen(premise)):
                continue
            cause = causes.get(premise)
            if cause is None:
                unknown.append(premise)
            elif cause < earliest:
                earliest = cause
        return earliest

    def _known_cause_of_fall(self, row: int) -> int:
        """The same once they are all known; _NEVER if it stands."""
        unknown: list[int] = []
        cause = self._cause_of_fall(row, unknown)
        for premise in unknown:
            self.cause(premise)
        return self._cause_of_fall(row, []) if unknown else cause

    def path(self, edition: int) -> list[Step]:
        """From the root cause to a stale edition; empty for a fresh one."""
        index, steps = self.index, []
        while (reason := self.reason(edition)) is not None:
            steps.append(Step(index.newest[edition], reason))
            if reason != _UNSUPPORTED:
                steps.append(Step(self.cause(edition), None))
                break
            cause = self.cause(edition)
            row = next(row for row in index.justifications(edition) if self._known_cause_of_fall(row) == cause)
            if index.withdrawn_support(row):
                steps += [Step(index.entry_of[row], "revoked"), Step(cause, None)]
                break
            edition = min(self._fallen_premises(row), key=self.cause)
        return steps[::-1]

    def successor(self, edition: int) -> str | None:
        """What stands in its place today, if anything fresh does."""
        latest = self._latest_successor(edition)
        if latest == edition or self.reason(latest) is not None:
            return None
        return name_of(self.index, self.index.newest[latest])

    def standing_against(self, edition: int) -> list[int]:
        """The entries that stand against an edition: withdrawals, and supersessions by other keys."""
        index = self.index
        others = [one.seq for one in index.effective_supersessions(index.key_of[edition])]
        return sorted(self.withdrawn_by(edition) + others)

    def withdrawn_by(self, edition: int) -> list[int]:
        """The withdrawals that stand on an edition."""
        return [one.seq for one in self.index.withdrawals.get(edition, ())]

    def superseded_by(self, edition: int) -> list[int]:
        """The entries that took its place: of other keys, and the next version of its own that counts."""
        return sorted(set(self._supersessions(edition)))

    def felled_by(self, edition: int) -> list[int]:
        """All that stands against an edition, newer versions of its own key included."""
        return sorted({*self.withdrawn_by(edition), *self._supersessions(edition)})

    def _latest_successor(self, edition: int) -> int:
        known, passed = self._latest, list[int]()
        while (latest := known.get(edition)) is None and (following := self._next_successor(edition)) != edition:
            passed.append(edition)
            edition = following
        latest = edition if latest is None else latest
        known.update(dict.fromkeys(passed, latest))
        return latest

    def _next_successor(self, edition: int) -> int:
        """What took its place; itself if nothing did."""
        index, key = self.index, self.index.key_of[edition]
        if key == NONE:
            return edition
        overtaking = next(index.effective_supersessions(key), None)
        return max(index.current[key], edition) if overtaking is None else overtaking.edition

    def _own_cause(self, edition: int) -> int:
        index = self.index
        flags = index.flags[edition]
        first = flags & -flags
        if first & WITHDRAWN:
            return min(one.seq for one in index.withdrawals[edition] if one.flag == first)
        if first == SUPERSEDED:
            return min(self._supersessions(edition))
        match self.reason(edition):
            case "expired":
                return index.limits[edition].seq
            case "diverged":
                return index.divergences[edition].seq
        return index.checked_by[edition]

    def _supersessions(self, edition: int) -> Iterable[int]:
        index = self.index
        key = index.key_of[edition]
        if key == NONE:
            return
        yield from (one.seq for one in index.effective_supersessions(key))
        younger = index.younger[edition]
        while younger != NONE and _wrong_from_birth(index, younger):
            younger = index.younger[younger]
        if younger != NONE:
            yield index.birth[younger]

    def _fallen_premises(self, row: int) -> list[int]:
        if self.index.withdrawn_support(row):
            return []
        return [premise for premise in self.index.premises(row) if self.has_fallen(premise)]

    def _fresh_current(self, reference: Reference) -> str | None:
        key = self.index.keys.get(reference.key or "", NONE)
        if key == NONE or self.index.current[key] == NONE:
            return None
        edition = self.index.current[key]
        return None if self.reason(edition) else name_of(self.index, self.index.newest[edition])


def _are_keys(refs: Sequence[str]) -> bool:
    """Whether it is worth trying: the first of several is one, as it seems."""
    return len(refs) > 1 and isinstance(refs[0], str) and "@sha256:" not in refs[0]


def _wrong_from_birth(index: Lookup, edition: int) -> bool:
    return bool(index.flags[edition] & WRONG_FROM_BIRTH)
