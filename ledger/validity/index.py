"""The validity index: what stands now, kept up to date entry by entry.

Law 6 makes validity a function of log and clock. The index computes it incrementally, by counting (Doyle's truth
maintenance in the form of Dowling and Gallier, "Linear-time algorithms for testing the satisfiability of propositional
Horn formulae", 1984): each justification counts its fallen premises, each edition its standing justifications, and a
change walks only what rests on it. `ledger.validity.oracle` says the same in a page, slowly.

Everything is a column of numbers: entries by seq, editions, justifications, edges and keys by their row. Rare facts
(withdrawals, expiry, divergence, supersession by other keys) are dicts. Columns change through `_put`, or by
appends, and what those linked `_truncate` undoes; so `savepoint` and `rollback` can undo whatever was applied since:
laws are judged by applying and looking. What `building` takes in of a log is never undone.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from msgspec import UNSET, UnsetType

from ledger.model.entry import (
    EMPTY,
    Attempt,
    Entry,
    Expiry,
    Head,
    Justification,
    Record,
    Reinstatement,
    Revocation,
    Sealed,
    Verification,
    head_after,
)
from ledger.validity.lookup import (
    CONDEMNING,
    DIVERGED,
    EXPIRED,
    KIND_CODES,
    MODE_FLAGS,
    NONE,
    SUPERSEDED,
    WITHDRAWN,
    WRONG_FROM_BIRTH,
    Divergence,
    Limit,
    Lookup,
    Supersession,
    Withdrawal,
)
from ledger.validity.requests import Requests
from ledger.validity.rolls import Rolls
from ledger.validity.texts import DigestTexts
from ledger.validity.trail import WIDE, Dated, Fact, Standing, Timeline, Trail

VALID = 1 << 7
"""Beside the flags of an edition, in the trail of its states."""

TIMERS_SPARE = 1_000
"""So many timers of what was undone may stay behind before they are cleared away."""

_MISSING = object()


class Savepoint(NamedTuple):
    """How far the journal and the log went. What else was added since then says itself which entry it came with."""

    journal: int
    entries: int
    head: Head
    clock_us: int
    moments: int
    changes: int
    checks: int
    unsettled: int
    causes: dict[int, int]


class Condemned(NamedTuple):
    """How many versions with one content are condemned (law 3), and the newest of them."""

    versions: int
    newest: int


class Index(Lookup):
    """One ledger's validity as of `head` and `clock_us`. Not thread-safe; its owner holds a lock."""

    def __init__(self) -> None:
        self.head = EMPTY
        self.clock_us = 0
        self.latest_us = 0  # time never goes back, even when what it did is undone

        # What was before (law 12).
        self.timeline = Timeline()
        self.changes = Trail("B")  # of the states of editions: their flags, and whether they were VALID
        self.checks = Trail("q", "i")  # of `checked_us` and `checked_by`
        self._now = (0, 0)  # the entry and the moment that what changes now is due to

        # Entries, by seq; row 0 is nobody.
        self.kind = bytearray(1)
        self.subject = array("i", [0])  # the record or added justification it is about: often itself; 0: several
        self.edition = array("i", [NONE])  # of the subject
        self.version = array("i", [0])
        self.previous = array("i", [0])  # the version before, of the same key; of added support: the version it is for
        self.digest = bytearray(32)
        self.digest_texts = DigestTexts(self.digest)
        self.recorded_us = array("q", [0])
        self.continues = bytearray(1)  # whether it belongs to the batch of the entry before

        # Editions, in the order they were born.
        self.key_of = array("i")
        self.birth = array("i")
        self.newest: array[int] = array("i")  # its newest version
        self.older = array("i")  # the edition of the same key born before it
        self.younger: array[int] = array("i")
        self.flags: bytearray = bytearray()
        self.valid: bytearray = bytearray()
        self.standing: array[int] = array("i")  # justifications that stand
        self.first_justification: array[int] = array("i")  # the newest one; NONE: a ground
        self.first_use: array[int] = array("i")  # the newest edge that leans on it
        self.first_event: array[int] = array("i")  # the newest event about it
        self.checked_us: array[int] = array("q")
        self.checked_by: array[int] = array("i")

        self._entry_columns: tuple[Any, ...] = (
            self.kind,
            self.subject,
            self.edition,
            self.version,
            self.previous,
            self.recorded_us,
            self.continues,
        )

        self._edition_columns: tuple[Any, ...] = (
            self.key_of,
            self.birth,
            self.newest,
            self.older,
            self.younger,
            self.flags,
            self.valid,
            self.standing,
            self.first_justification,
            self.first_use,
            self.first_event,
            self.checked_us,
            self.checked_by,
            self.changes.last,
            self.checks.last,
        )

        # Justifications, and the edges from each to its premises (one run of rows each).
        self.supports = array("i")  # the edition
        self.fallen: array[int] = array("i")  # premises that are not valid
        self.entry_of = array("i")  # the entry that gave it
        self.next_justification = array("i")  # of the same edition, older
        self.edges_from = array("i", [0])  # where its edges start; the next row's start is their end
        self.premise = array("i")
        self.leans = array("i")  # the justification this edge belongs to
        self.next_use = array("i")  # of the same premise, older

        # Events, a row for each edition they are about.
        self.event_entry = array("i")
        self.next_event = array("i")  # about the same edition, older

        # Keys.
        self.keys: dict[str, int] = {}
        self.key_names: list[str] = []
        self.key_kind = bytearray()
        self.youngest: array[int] = array("i")  # latest-born edition
        self.current: array[int] = array("i")  # latest-born edition not wrong from birth; NONE: all are
        self.newest_of_key: array[int] = array("i")  # newest version

        self.rolls = Rolls(self.newest_of_key, self.previous, self.digest)

        self._key_columns: tuple[Any, ...] = (
            self.key_names,
            self.key_kind,
            self.youngest,
            self.current,
            self.newest_of_key,
        )

        # Rare facts.
        self.withdrawals: Standing[Withdrawal] = Standing()  # by edition
        self.support_withdrawals: Standing[Withdrawal] = Standing()  # by added entry
        self.added: dict[int, tuple[int, int]] = {}  # added entry -> its rows of justifications, from and to
        self.superseded_by: Standing[Supersession] = Standing()  # by key, those not lifted
        self.supersedes: dict[int, tuple[int, ...]] = {}  # by edition, all keys it ever named
        self.limits: Fact[Limit] = Fact()
        self.noted: dict[int, bool] = {}  # expiries in the log
        self.divergences: Fact[Divergence] = Fact()
        self.condemned: dict[tuple[int, bytes], Condemned] = {}  # by key and digest
        self.acted_us: dict[int, int] = {}  # by mutation's edition, when it was executed
        self.requests = Requests()

        self.timers: list[tuple[int, int]] = []  # (moment, edition); may be out of date, `limits` decides
        self.due: set[int] = set()  # editions whose expiry is news, maybe
        self.rewinds = 0  # how often an entry came late, and time that had passed was undone
        self._journal: list[tuple[Any, Any, Any]] | None = None
        self._settled = 0  # how much of the journal is cut off: a savepoint counts from the first savepoint on
        self._watched = (0, 0)  # changes and editions there were when watching began
        self._checked_floor: dict[int, int] = {}
        self.dirty: dict[int, int] | None = None  # editions whose verdicts changed, and since which version; 0: all
        self.memo: dict[Any, Any] = {}  # for readers; emptied whenever anything changes
        self.causes: dict[int, int] = {}  # by edition, as readers found them; emptied when one of them may change
        self.unsettled = 0  # the last entry that may have changed the cause of what lay already (`fell_with`)

    @property
    def upto(self) -> int:  # type: ignore[override]
        """The last entry applied."""
        return len(self.kind) - 1

    @property
    def key_count(self) -> int:  # type: ignore[override]
        return len(self.key_names)

    @property
    def _wide(self) -> Any:
        """Loaded when it is wanted: numpy takes a while, and whoever looks once at a ledger needs none of it."""
        from ledger.validity import wide

        return wide

    def state(self, edition: int) -> int:
        """The flags of an edition, and whether it is VALID."""
        return self.flags[edition] | (VALID if self.valid[edition] else 0)

    def batch_end(self, seq: int) -> int:
        """The last entry of the batch that an entry belongs to."""
        return next_batch - 1 if (next_batch := self.continues.find(0, seq + 1)) > 0 else self.upto

    def seq_at(self, moment_us: int) -> int:
        """The last entry recorded by a moment; 0 if none was."""
        return bisect_right(self.recorded_us, moment_us, lo=1) - 1

    def columns(self) -> dict[str, array[int] | bytearray]:
        """Every column of numbers by its name, those of what was before too."""
        owners: dict[str, Any] = {
            "": self,
            "timeline.": self.timeline,
            "changes.": self.changes,
            "checks.": self.checks,
        }
        found = {prefix + name: value for prefix, owner in owners.items() for name, value in vars(owner).items()}
        for trail in ("changes", "checks"):
            found |= {f"{trail}.before.{place}": one for place, one in enumerate(found.pop(f"{trail}.before"))}
        return {name: value for name, value in found.items() if isinstance(value, (array, bytearray))}

    # -- undoing ------------------------------------------------------------------------------------------------------

    def savepoint(self) -> Savepoint:
        """Remember this state. The first savepoint starts the journal."""
        if self._journal is None:
            self._journal = []
        return Savepoint(
            len(self._journal) + self._settled,
            len(self.kind),
            self.head,
            self.clock_us,
            len(self.timeline),
            len(self.changes),
            len(self.checks),
            self.unsettled,
            self.causes,
        )

    def rollback(self, to: Savepoint) -> None:
        """Undo everything applied since `to`."""
        assert self._journal is not None
        kept = to.journal - self._settled
        for container, place, old in reversed(self._journal[kept:]):
            if container is self.timers:
                heapq.heappush(self.timers, place)
                continue
            if type(container) is Standing:
                container.undo(place)
                continue
            if type(place) is list:
                if old is _MISSING:
                    for one in place:
                        del container[one]
                else:
                    self._take_back(container, place, old)
                continue
            if old is _MISSING:
                del container[place]
                if container is self.noted:
                    self.due.add(place)
            else:
                container[place] = old
            if type(container) is Fact:
                container.forget(place)
        del self._journal[kept:]
        self._forget_causes(to)
        if len(self.changes) - to.changes > WIDE:
            self._wide.undo_states(self, to.changes)
        else:
            self._undo_states(to.changes)
        self._forget(to.moments, to.changes, to.checks)
        self._truncate(to.entries)
        self.head, self.clock_us = to.head, to.clock_us
        self._changed()

    def _take_back(self, column: array[int], places: list[int], step: int) -> None:
        """Undo steps of a wave."""
        if len(places) > WIDE:
            self._wide.take_back(column, places, step)
            return
        for place in places:
            column[place] -= step

    def _undo_states(self, upto: int) -> None:
        """Put back the states that editions had before all changes but the first `upto`."""
        flags, valid, places, (states,) = self.flags, self.valid, self.changes.place, self.changes.before
        for change in range(len(places) - 1, upto - 1, -1):
            edition, state = places[change], states[change]
            flags[edition], valid[edition] = state & ~VALID, state >> 7

    def _forget(self, moments: int, changes: int, checks: int) -> None:
        """Cut off what was written down of changes that have been undone."""
        self.changes.cut(changes)
        self.checks.cut(checks)
        self.timeline.cut(moments)

    def _forget_causes(self, to: Savepoint) -> None:
        """Of what was found since, keep what holds of what stays."""
        self.unsettled = to.unsettled
        if self.causes is not to.causes:  # something was unsettled
            self.causes = {}
        elif self.causes:
            undone = range(_rows_before(to.entries, self.birth), len(self.birth))
            for edition in (*undone, *self.changes.place[to.changes :]):
                self.causes.pop(edition, None)

    def settle(self, upto: Savepoint) -> None:
        """What was applied before `upto` will not be undone any more; savepoints since then stay good."""
        assert self._journal is not None
        del self._journal[: upto.journal - self._settled]
        self._settled = upto.journal
        self.requests.settle(upto.entries - 1)

    def release(self) -> None:
        """Stop journalling. Call after the outermost rollback."""
        self._journal = None
        self._settled = 0
        if len(self.timers) > TIMERS_SPARE + 2 * len(self.limits):
            ahead = [(one.moment_us, edition) for edition, one in self.limits.items() if one.moment_us > self.clock_us]
            heapq.heapify(ahead)
            self.timers[:] = ahead

    def _truncate(self, entries: int) -> None:
        """Cut off the rows that came with entries from `entries` on."""
        justifications = _rows_before(entries, self.entry_of)
        edges, keys = self.edges_from[justifications], _rows_before(entries, self.newest_of_key)
        self.digest_texts.forget(entries)
        self.rolls.forget(entries)
        for edge in range(len(self.next_use) - 1, edges - 1, -1):
            self.first_use[self.premise[edge]] = self.next_use[edge]
        while len(self.keys) > keys:  # in the order of their rows
            self.keys.popitem()
        for rows, columns in (
            (entries, self._entry_columns),
            (_rows_before(entries, self.birth), self._edition_columns),
            (justifications, (self.supports, self.fallen, self.entry_of, self.next_justification)),
            (edges, (self.premise, self.leans, self.next_use)),
            (_rows_before(entries, self.event_entry), (self.event_entry, self.next_event)),
            (keys, self._key_columns),
        ):
            column: Any
            for column in columns if len(columns[0]) > rows else ():
                del column[rows:]
        del self.digest[32 * entries :]
        del self.edges_from[justifications + 1 :]

    def _put(self, container: Any, place: Any, value: Any) -> None:
        if type(container) is Fact:
            container.note(place, self._moment())
        journal = self._journal
        if journal is not None:
            old = container.get(place, _MISSING) if isinstance(container, dict) else container[place]
            journal.append((container, place, old))
        container[place] = value

    def _drop(self, container: dict[Any, Any], place: Any) -> None:
        if place in container:
            if type(container) is Fact:
                container.note(place, self._moment())
            if self._journal is not None:
                self._journal.append((container, place, container[place]))
            del container[place]

    def _add(self, container: Standing[Dated], place: int, one: Dated) -> None:
        container.add(place, one, self._moment())
        if self._journal is not None:
            self._journal.append((container, place, None))

    def _lift_from(self, container: Standing[Any], place: int, lifts: Collection[int]) -> bool:
        """Lift what these entries brought to a place; whether there was any."""
        lifted = [one for one in container.get(place, ()) if one.seq in lifts]
        for one in lifted:
            container.lift(place, one, self._moment())
            if self._journal is not None:
                self._journal.append((container, place, None))
        return bool(lifted)

    def _moment(self) -> int:
        """The moment of the timeline that what changes now belongs to."""
        line, (seq, clock_us) = self.timeline, self._now
        last = len(line.seq) - 1
        if last >= 0 and line.seq[last] == seq and line.clock_us[last] == clock_us:
            return last
        line.seq.append(seq)
        line.clock_us.append(clock_us)
        line.changes.append(len(self.changes))
        line.checks.append(len(self.checks))
        return last + 1

    def _note_state(self, edition: int) -> None:
        """Write down the state of an edition before it changes."""
        self._moment()
        self.changes.note(edition, self.state(edition))

    def _changed(self) -> None:
        if self.memo:
            self.memo = {}
        if self._checked_floor:
            self._checked_floor = {}

    def unsettle_causes(self, seq: int) -> None:
        """From this entry on what lay already may have another cause, and so what rests on it."""
        self.unsettled, self.causes = seq, {}

    def fell_with(self, edition: int) -> int:
        """The entry that felled an edition which lies with its support, if that must be its cause; 0: look for it.

        One of its justifications stood until then, and all that it rests on and that lies by now fell with the same
        entry: no cause is newer. So it stays, until something happens that is not the fall of what stood.
        """
        change = self.changes.last[edition]
        if change == NONE:
            return 0
        seq = self.timeline.seq[self.timeline.moment_of(change)]
        return seq if seq > self.unsettled else 0

    # -- what fell and what revived -----------------------------------------------------------------------------------

    def watch(self) -> None:
        """Start to notice which editions change validity."""
        self._watched = len(self.changes), len(self.flags)

    def changed(self) -> tuple[list[int], list[int]]:
        """Editions that fell and that revived since `watch`; those born since then are in neither."""
        start, editions = self._watched
        if len(self.changes) == start:
            return [], []
        if len(self.changes) - start > WIDE:
            turned: tuple[list[int], list[int]] = self._wide.changed(self, start, editions)
            return turned
        valid = self.valid
        there = [(edition, before) for edition, before in self.changes.stood(start).items() if edition < editions]
        fell = [edition for edition, before in there if before & VALID and not valid[edition]]
        revived = [edition for edition, before in there if not before & VALID and valid[edition]]
        return fell, revived

    # -- time ---------------------------------------------------------------------------------------------------------

    def advance(self, clock_us: int) -> None:
        """Let time pass: what expires by `clock_us` falls, with all that rests on it. Time never goes back."""
        self.latest_us = clock_us = max(clock_us, self.latest_us)
        if clock_us > self.clock_us:
            self._pass_to(clock_us)

    def _pass_to(self, clock_us: int) -> None:
        timers = self.timers
        while timers and timers[0][0] <= clock_us:
            timer = heapq.heappop(timers)
            if self._journal is not None:
                self._journal.append((timers, timer, None))
            moment_us, edition = timer
            self.clock_us = max(self.clock_us, moment_us)
            self._now = len(self.kind) - 1, self.clock_us
            self._judge_limit(edition)
        self.clock_us = clock_us

    def rewind(self, clock_us: int) -> None:
        """Let what expired after `clock_us` stand again: an entry of then came late, and belongs before that.

        Not while journalling: what is undone here does not come back with a rollback.
        """
        line = self.timeline
        moments = bisect_right(line.clock_us, clock_us)
        if moments < len(line):
            assert self._journal is None
            self.rewinds += 1
            changes, checks = line.changes[moments], line.checks[moments]
            for edition in set(self.changes.place[changes:]):
                limit = self.limits.get(edition)
                if limit is not None and limit.moment_us > clock_us and self.flags[edition] & EXPIRED:
                    self._set_flag(edition, EXPIRED, False)
                    heapq.heappush(self.timers, (limit.moment_us, edition))
            self._forget(moments, changes, checks)
        self.clock_us = min(self.clock_us, clock_us)

    def mark_expired(self) -> None:
        """Mark as dirty what changed by time alone since the head was recorded: what expired, and what rests on it."""
        line = self.timeline
        moments = bisect_right(line.clock_us, self.head.recorded_at_us)
        if moments < len(line):
            for edition in set(self.changes.place[line.changes[moments] :]):
                self.mark_dirty(edition, 0)

    def news_of_expiry(self) -> list[int]:
        """Editions that expired after their limit was set, and that the log does not say so of yet."""
        self.due = {edition for edition in self.due if self._is_news(edition)}
        return sorted(self.due)

    def retract_expiries(self) -> list[int]:
        """Let what `news_of_expiry` names stand again, in the order it expired; to be rolled back.

        Applying the entry that tells of one then fells it, and what falls with it is seen.
        """
        news = sorted(self.news_of_expiry(), key=lambda edition: (self.limits[edition].moment_us, edition))
        self._now = len(self.kind), self.clock_us  # the next entry's doing
        for edition in news:
            self._set_flag(edition, EXPIRED, False)
        return news

    def _is_news(self, edition: int) -> bool:
        limit = self.limits.get(edition)
        return limit is not None and limit.ahead and limit.moment_us <= self.clock_us and edition not in self.noted

    def _set_limit(self, edition: int, moment_us: int | UnsetType | None, entry: Entry) -> None:
        if moment_us is UNSET:
            return
        if self.flags[edition] & EXPIRED:
            self.unsettle_causes(self.upto)
        self._drop(self.noted, edition)
        if moment_us is None:
            self._drop(self.limits, edition)
        else:
            self._put(self.limits, edition, Limit(moment_us, entry.seq, moment_us > entry.recorded_at_us))
            # Rolled back, a timer stays behind: it is harmless, `limits` is asked when it rings. Many are cleared away.
            if moment_us > self.clock_us:
                heapq.heappush(self.timers, (moment_us, edition))
        self._judge_limit(edition)

    def _judge_limit(self, edition: int) -> None:
        if edition >= len(self.flags):
            return
        limit = self.limits.get(edition)
        expired = limit is not None and limit.moment_us <= self.clock_us
        if expired and limit is not None and limit.ahead:
            self.due.add(edition)
        self._set_flag(edition, EXPIRED, expired)

    # -- taking entries in --------------------------------------------------------------------------------------------

    def take_in(self, sealed: Sealed) -> None:
        """Apply an entry of the log, the next one after `head`."""
        self.apply(sealed.entry)
        self.head = head_after(sealed)

    def apply(self, entry: Entry) -> None:
        """The effect of one entry on validity. Entries come in the order of the log; `head` is left to the caller."""
        assert entry.seq == len(self.kind), f"entry {entry.seq} after {len(self.kind) - 1}"
        self._changed()
        moment_us = entry.recorded_at_us
        if moment_us > self.clock_us:
            self._pass_to(moment_us)
        elif moment_us < self.clock_us:
            self.rewind(moment_us)
        self._now = entry.seq, moment_us
        self.recorded_us.append(moment_us)
        self.continues.append(entry.batch != entry.seq)
        for request in entry.requests:
            if request.idempotency_key is not None:
                self.remember(request.idempotency_key, entry.seq)
        if isinstance(entry, Record):
            self._apply_record(entry)
        else:
            self._apply_event(entry)

    def _apply_event(self, entry: Entry) -> None:
        match entry:
            case Verification():
                self._append_event(entry)
                for target, observed in zip(entry.targets, entry.observed, strict=True):
                    self._observe(target, bytes.fromhex(observed[7:]), entry)
                self._set_limit(self.edition[entry.targets[0]], entry.valid_until_us, entry)
            case Justification():
                self._apply_justification(entry)
            case Revocation():
                self._append_event(entry)
                for target in entry.targets:
                    self._withdraw(target, Withdrawal(entry.seq, MODE_FLAGS[entry.mode], entry.moment_us))
            case Reinstatement():
                self._append_event(entry)
                self._lift(entry.targets[0], set(entry.lifts))
            case Attempt():
                self._append_event(entry)
                for contradicted, observed in zip(entry.contradicts, entry.observed, strict=False):
                    if contradicted:
                        self._diverge(self.edition[contradicted], bytes.fromhex(observed[7:]), entry)
            case Expiry():
                self._append_event(entry)
                self._put(self.noted, self.edition[entry.targets[0]], True)
                self._judge_limit(self.edition[entry.targets[0]])

    def remember(self, idempotency_key: str, seq: int) -> None:
        """Know an idempotency key as answered by an entry."""
        self._put(self.requests.recent, idempotency_key, seq)

    def remember_all(self, idempotency_keys: Sequence[str], seqs: Sequence[int]) -> None:
        """The same of many."""
        if self._journal is None:
            self.requests.add(idempotency_keys, seqs)
        else:
            recent = self.requests.recent
            recent.update(zip(idempotency_keys, seqs, strict=True))
            self._journal.append((recent, list(idempotency_keys), _MISSING))

    def note_act(self, edition: int, moment_us: int) -> None:
        """Know when a mutation was executed."""
        self._put(self.acted_us, edition, moment_us)

    def _append_event(self, entry: Any, itself: bool = False) -> None:
        subject = self.subject[entry.targets[0]] if len(set(entry.targets)) == 1 else 0
        self.kind.append(KIND_CODES[entry.kind])
        self.edition.append(self.edition[subject])
        self.subject.append(entry.seq if itself else subject)
        self.version.append(0)
        self.previous.append(subject if itself else 0)
        self.digest.extend(_NO_DIGEST)
        for edition in dict.fromkeys(self.edition[target] for target in entry.targets):
            self._note_event(edition, entry.seq)

    def _note_event(self, edition: int, seq: int) -> None:
        row = len(self.event_entry)
        self.event_entry.append(seq)
        self.next_event.append(self.first_event[edition])
        self._put(self.first_event, edition, row)

    def _apply_record(self, record: Record) -> None:
        seq, key = record.seq, self._key_for(record)
        digest = bytes.fromhex(record.digest[7:])
        self.kind.append(KIND_CODES[record.kind])
        self.subject.append(seq)
        self.version.append(record.version)
        before = self.newest_of_key[key] if key != NONE else seq
        self.previous.append(before if before != seq else 0)
        self.digest.extend(digest)
        if before != seq:
            self._put(self.newest_of_key, key, seq)
        if record.amends is not None:
            edition = self.edition[record.amends]
            self.edition.append(edition)
            self.mark_dirty(edition, self.newest[edition])
            self._put(self.newest, edition, seq)
            if self.flags[edition] & CONDEMNING:
                self.condemn(key, seq)
            self._mark_checked(edition, record)
            divergence = self.divergences.get(edition)
            if divergence is not None and divergence.observed == digest:
                self._settle_divergence(edition, None)
        else:
            edition = self._bear(record, key)
            self.edition.append(edition)
        if record.valid_until_us is not UNSET:
            self._set_limit(edition, record.valid_until_us, record)
        if record.supersedes:
            self._supersede(record.supersedes, seq, edition)

    def _key_for(self, record: Record) -> int:
        if record.key is None:
            return NONE
        key = self.keys.get(record.key, NONE)
        if key == NONE:
            key = len(self.key_names)
            # Its first edition is the next one born. What is new needs no journal: undone, it is cut off.
            self.keys[record.key] = key
            self.key_names.append(record.key)
            self.key_kind.append(KIND_CODES[record.kind])
            self.youngest.append(len(self.flags))
            self.current.append(len(self.flags))
            self.newest_of_key.append(record.seq)
        return key

    def _bear(self, record: Record, key: int) -> int:
        """A new edition, with its support, superseding the older ones of its key."""
        edition = len(self.flags)
        older = self.youngest[key] if key != NONE else edition
        overtaken = key in self.superseded_by and any(self.effective_supersessions(key))
        self.key_of.append(key)
        self.birth.append(record.seq)
        self.newest.append(record.seq)
        self.older.append(older if older != edition else NONE)
        self.younger.append(NONE)
        self.flags.append(SUPERSEDED if overtaken else 0)
        self.valid.append(0)
        self.standing.append(0)
        self.first_justification.append(NONE)
        self.first_use.append(NONE)
        self.first_event.append(NONE)
        self.checked_us.append(record.moment_us)
        self.checked_by.append(record.seq)
        self.changes.last.append(NONE)
        self.checks.last.append(NONE)
        if record.kind == "mutation":
            self.note_act(edition, record.moment_us)
        for premises in record.because:
            self.standing[edition] += self._justify(edition, premises, record.seq)
            self.first_justification[edition] = len(self.supports) - 1
        self.valid[edition] = not overtaken and (not record.because or self.standing[edition] > 0)
        if older != edition:
            self._put(self.youngest, key, edition)
            self._put(self.younger, older, edition)
            self._settle_current(key)
        return edition

    def _justify(self, edition: int, premises: tuple[int, ...], seq: int) -> bool:
        """One more justification; whether it stands. To count it in and chain it up is left to the caller."""
        row, edge = len(self.supports), len(self.premise)
        fallen, first_use = 0, self.first_use
        for rests_on in {self.edition[premise]: None for premise in premises}:  # each edition once, in order
            self.premise.append(rests_on)
            self.leans.append(row)
            self.next_use.append(first_use[rests_on])
            first_use[rests_on] = edge
            fallen += not self.valid[rests_on]
            edge += 1
        self.supports.append(edition)
        self.fallen.append(fallen)
        self.entry_of.append(seq)
        self.next_justification.append(self.first_justification[edition])
        self.edges_from.append(edge)
        return not fallen

    def _apply_justification(self, entry: Justification) -> None:
        self._append_event(entry, itself=bool(entry.because))
        edition = self.edition[entry.targets[0]]
        self._observe(entry.targets[0], bytes.fromhex(entry.observed[0][7:]), entry)
        if entry.because:
            self.unsettle_causes(self.upto)
            first = len(self.supports)
            for premises in entry.because:
                stands = self._justify(edition, premises, entry.seq)
                self._put(self.first_justification, edition, len(self.supports) - 1)
                self._put(self.standing, edition, self.standing[edition] + stands)
            self._put(self.added, entry.seq, (first, len(self.supports)))
            self._settle(edition)
        self._set_limit(edition, entry.valid_until_us, entry)
        self._supersede(entry.supersedes, entry.seq, edition)

    # -- withdrawing and lifting --------------------------------------------------------------------------------------

    def _withdraw(self, target: int, withdrawal: Withdrawal) -> None:
        if target in self.added:
            stood = target not in self.support_withdrawals
            self._add(self.support_withdrawals, target, withdrawal)
            if stood:
                self._count_support(target, -1)
        else:
            edition = self.edition[target]
            self._add(self.withdrawals, edition, withdrawal)
            self._set_withdrawn(edition, self.flags[edition] | withdrawal.flag)

    def _lift(self, target: int, lifts: Collection[int]) -> None:
        self.unsettle_causes(self.upto)
        if target in self.added:
            if self._lift_from(self.support_withdrawals, target, lifts) and target not in self.support_withdrawals:
                self._count_support(target, 1)
            return
        edition = self.edition[target]
        if self._lift_from(self.withdrawals, edition, lifts):
            flags = self.flags[edition] & ~WITHDRAWN
            for withdrawal in self.withdrawals.get(edition, ()):
                flags |= withdrawal.flag
            self._set_withdrawn(edition, flags)
        key = self.key_of[edition]
        if self._lift_from(self.superseded_by, key, lifts):
            self._settle_supersession(key)

    def _set_withdrawn(self, edition: int, after: int) -> None:
        """Set the flags of an edition of which a withdrawal came or was lifted."""
        before = self.flags[edition]
        if before & ~after & WRONG_FROM_BIRTH:
            after = self._superseded_as_well(edition, after)
        if after == before:
            return
        if not self.valid[edition] or (before ^ after) & WRONG_FROM_BIRTH:
            self.unsettle_causes(self.upto)
        self._note_state(edition)
        self.flags[edition] = after
        self.mark_dirty(edition, 0)
        self._settle(edition, noted=True)
        key = self.key_of[edition]
        if key != NONE and bool(before & CONDEMNING) != bool(after & CONDEMNING):
            if after & CONDEMNING:
                for seq in self.versions_of_edition(edition):
                    self.condemn(key, seq)
            else:
                self._absolve(key, edition)
        if (before ^ after) & WRONG_FROM_BIRTH:
            # Supersession by what is wrong from birth does not count: what this edition superseded comes back, or goes.
            if key != NONE:
                self._settle_current(key)
            for superseded in self.supersedes.get(edition, ()):
                self._settle_supersession(superseded)

    def _superseded_as_well(self, edition: int, flags: int) -> int:
        """The flags of one that was wrong from birth: whether it is superseded was not followed meanwhile."""
        key = self.key_of[edition]
        if key == NONE:
            return flags
        superseded = edition < self.current[key] or any(self.effective_supersessions(key))
        return flags | SUPERSEDED if superseded else flags & ~SUPERSEDED

    def condemn(self, key: int, seq: int) -> None:
        """The content of a version is condemned by now."""
        place = key, self.digest_at(seq)
        count, newest = self.condemned.get(place, (0, 0))
        self._put(self.condemned, place, Condemned(count + 1, max(newest, seq)))

    def _absolve(self, key: int, edition: int) -> None:
        """What this edition says is not condemned by it any more, but may be by others."""
        for digest, lifted in Counter(map(self.digest_at, self.versions_of_edition(edition))).items():
            count, newest = self.condemned[key, digest]
            if count == lifted:
                self._drop(self.condemned, (key, digest))
                continue
            while self.digest_at(newest) != digest or not self.flags[self.edition[newest]] & CONDEMNING:
                newest = self.previous[newest]
            self._put(self.condemned, (key, digest), Condemned(count - lifted, newest))

    def _count_support(self, entry: int, step: int) -> None:
        """Count the justifications of an added entry that have no fallen premise in (1) or out (-1)."""
        self.unsettle_causes(self.upto)
        first, last = self.added[entry]
        edition = self.supports[first]
        intact = sum(not self.fallen[row] for row in range(first, last))
        self._put(self.standing, edition, self.standing[edition] + step * intact)
        self._settle(edition)

    # -- superseding --------------------------------------------------------------------------------------------------

    def _supersede(self, targets: tuple[int, ...], seq: int, edition: int) -> None:
        if not targets:
            return
        keys = [self.key_of[self.edition[target]] for target in targets]
        # At once: the journal keeps what was there before.
        self._put(self.supersedes, edition, (*self.supersedes.get(edition, ()), *keys))
        for target, key in zip(targets, keys, strict=True):
            self._note_event(self.edition[target], seq)
            self._add(self.superseded_by, key, Supersession(seq, edition))
            self._settle_supersession(key)

    def _settle_current(self, key: int) -> None:
        """Find the key's current edition again, and what it supersedes of its own key."""
        before = self.current[key]
        current = next((one for one in self.editions(key) if not self.flags[one] & WRONG_FROM_BIRTH), NONE)
        if current != before:
            self._put(self.current, key, current)
        # Only editions from the older of the two on can have changed.
        self._settle_supersession(key, current if before == NONE else min(before, current))

    def _settle_supersession(self, key: int, oldest: int | None = None) -> None:
        """Set SUPERSEDED on a key's editions, back to `oldest` (default: the current one; older ones stay so).

        Not of what is wrong from birth, of which nobody sees it: who is wrong n times would have it flipped n² times.
        """
        current = self.current[key]
        if current == NONE:
            return  # all are wrong
        overtaken = any(self.effective_supersessions(key))
        stop = current if oldest is None else oldest
        for edition in self.editions(key):
            if not self.flags[edition] & WRONG_FROM_BIRTH:
                self._set_flag(edition, SUPERSEDED, overtaken or edition < current)
            if edition == stop:
                break

    # -- verifying ----------------------------------------------------------------------------------------------------

    def _observe(self, target: int, observed: bytes, entry: Entry) -> None:
        edition = self.edition[target]
        # The target was the newest version when somebody looked; later in that batch it may have been amended.
        if observed in (self.digest_at(target), self.digest_at(self.newest[edition])):
            self._mark_checked(edition, entry)
            self._settle_divergence(edition, None)
        else:
            self._diverge(edition, observed, entry)

    def _diverge(self, edition: int, observed: bytes, entry: Entry) -> None:
        before = self.divergences.get(edition)
        self._settle_divergence(edition, Divergence(before.seq if before else entry.seq, observed))

    def _settle_divergence(self, edition: int, divergence: Divergence | None) -> None:
        if divergence is None:
            self._drop(self.divergences, edition)
        else:
            self._put(self.divergences, edition, divergence)
        self._set_flag(edition, DIVERGED, divergence is not None)

    def _mark_checked(self, edition: int, entry: Entry) -> None:
        if entry.moment_us >= self.checked_us[edition]:
            self._moment()
            self.checks.note(edition, self.checked_us[edition], self.checked_by[edition])
            self._put(self.checked_us, edition, entry.moment_us)
            self._put(self.checked_by, edition, entry.seq)

    # -- propagation --------------------------------------------------------------------------------------------------

    def _set_flag(self, edition: int, flag: int, up: bool) -> None:
        before = self.flags[edition]
        after = before | flag if up else before & ~flag
        if after != before:
            self._changed()
            # The cause of an expiry is who set the limit, long before.
            if not up or flag == EXPIRED or not self.valid[edition]:
                self.unsettle_causes(self.upto)
            self._note_state(edition)
            self.flags[edition] = after
            self.mark_dirty(edition, 0)
            self._settle(edition, noted=True)

    def mark_dirty(self, edition: int, since: int) -> None:
        """The states of an edition's versions from this one on are to be shown anew, where a store shows them."""
        if self.dirty is not None:
            self.dirty[edition] = min(since, self.dirty.get(edition, since))

    def _settle(self, edition: int, *, noted: bool = False) -> None:
        """Bring an edition's validity in line with its own facts, and everything that rests on it.

        `noted`: its state before has been written down.
        """
        valid = not self.flags[edition] and (self.standing[edition] > 0 or self.is_ground(edition))
        if valid != self.valid[edition]:
            if not noted:
                self._note_state(edition)
            self._wave(edition, valid)

    def _wave(self, origin: int, valid: bool) -> None:
        """Validity spreads. All editions of a wave change in the same direction, each once: support is a DAG."""
        self._changed()
        front, noted = [origin], 1  # its state before has been written down
        while front:
            front, rows = self._spread(front, valid, noted)
            if front:
                front = self._wide.spread(self, front, rows, valid, until=WIDE // 4)
            noted = 0

    def _spread(self, front: list[int], valid: bool, noted: int) -> tuple[list[int], list[int]]:
        """Carry a wave on, one edition after another, until it is over or wide.

        Then some editions wait, and some rows of justifications that lean on the last one done are still to be counted.
        """
        flags, standing, fallen, step = self.flags, self.standing, self.fallen, -1 if valid else 1
        first_use, next_use, leans, supports = self.first_use, self.next_use, self.leans, self.supports
        withdrawn = self.withdrawn_support if self.support_withdrawals else None
        counted: list[int] = []
        supported: list[int] = []
        done, edge = 0, NONE
        for done, edition in enumerate(front, start=1):
            edge, room = first_use[edition], done + WIDE
            while edge != NONE and len(front) <= room:
                row = leans[edge]
                edge = next_use[edge]
                before = fallen[row]
                after = fallen[row] = before + step
                counted.append(row)
                if (before and after) or (withdrawn and withdrawn(row)):
                    continue
                turned = supports[row]
                stood = standing[turned]
                stands = standing[turned] = stood - step
                supported.append(turned)
                if not flags[turned] and not (stood if valid else stands):  # its first to stand, or its last to fall
                    front.append(turned)
            if edge != NONE:
                break
        self.note_steps(fallen, counted, step)
        self.note_steps(standing, supported, -step)
        self._set_valid(front[:done], valid, noted)
        return front[done:], list(self.uses_from(edge))

    def note_steps(self, column: array[int], places: list[int], step: int) -> None:
        """Journal that `step` was added at each of these places, as often as it is named."""
        if self._journal is not None:
            self._journal.append((column, places, step))

    def _set_valid(self, editions: list[int], valid: bool, noted: int) -> None:
        """Set the validity of editions; the states of the first `noted` have been written down."""
        if len(editions) > WIDE:
            self._wide.set_valid(self, editions, valid, noted)
            return
        flags, valids, state = self.flags, self.valid, 0 if valid else VALID
        for edition in editions[noted:]:
            self.changes.note(edition, flags[edition] | state)
        for edition in editions:
            valids[edition] = valid
        if self.dirty is not None:
            self.dirty.update(dict.fromkeys(editions, 0))


def _rows_before(entries: int, column: array[int]) -> int:
    """How many rows of a column come from entries before `entries`; it says of each row which entry that is."""
    rows = len(column)
    while rows and column[rows - 1] >= entries:
        rows -= 1
    return rows


_NO_DIGEST = bytes(32)
