"""Judging: from a command and the state at the head to entries and an outcome, or a refusal. The laws are in `laws`.

Pure but for the index it is given, which it changes as it goes: each entry is applied as soon as it is decided, so the
next command of the batch sees it. What is not durable yet, `live` undoes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec

from ledger.errors import IdempotencyConflict, ImpactChanged, LedgerError, Malformed, StalePremise
from ledger.model.command import (
    BatchCommand,
    Command,
    ExpireCommand,
    RecordCommand,
    ReinstateCommand,
    RevokeCommand,
    SingleCommand,
    VerifyCommand,
)
from ledger.model.entry import (
    KINDS,
    WHOLE_BATCH,
    Entry,
    Event,
    Expiry,
    Justification,
    Reinstatement,
    Request,
    Revocation,
    Verification,
)
from ledger.service import laws
from ledger.service.drafts import Change, Draft, Drafts, Outcome
from ledger.service.laws import Premises
from ledger.service.measuring import Measure
from ledger.service.plain import RUN_MIN, PlainRun, is_plain, pays, plain_run, record_plain, record_run
from ledger.validity.index import Index
from ledger.validity.lookup import NONE, WRONG_FROM_BIRTH
from ledger.validity.resolve import name_of, record_named
from ledger.validity.verdicts import Reader


class Remembered(msgspec.Struct, frozen=True, gc=False):
    """A command answered before, by an entry of a batch."""

    entry: Entry
    request: Request
    others: Sequence[Entry] = ()  # before that entry, if it answers the batch as a whole

    @property
    def batch(self) -> Sequence[Entry]:
        return (*self.others, self.entry)


class Judgement(msgspec.Struct, frozen=True, gc=False):
    """A batch that passed: its entries (none, if all was answered before) and one outcome for each command."""

    drafts: Sequence[Draft]
    outcomes: Sequence[Outcome]
    replayed: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple([draft.entry for draft in self.drafts])


class Judge:
    """Judges one batch after another against an index that is journalling.

    `remembered` holds what the log knows of the idempotency keys these batches carry; what they ask is added to it.
    """

    def __init__(self, index: Index, now_us: int, remembered: dict[str, Remembered]) -> None:
        self.index = index
        self.now_us = now_us
        self.remembered = remembered

    def judge(self, command: Command) -> Judgement:
        """The entries and outcomes of a batch (a single command is a batch of its own).

        Raises Refused with the position of the command; the index is then as it was before the call.
        """
        if isinstance(command, RecordCommand) and is_plain(self.index, command) and not self.recall(command):
            return self._judge_plain(command)
        savepoint = self.index.savepoint()
        expected = command.expects_impact if isinstance(command, BatchCommand) else None
        measure = Measure(self.index) if expected is not None else None
        try:
            judgement = _Batch(self, command).judge()
            if measure is not None and not (judgement.replayed and judgement.outcomes):  # that did so then
                _check_impact(measure.read(judgement.entries, judgement.outcomes).digest, expected)
        except BaseException:
            self.index.rollback(savepoint)
            raise
        self._remember(judgement)
        return judgement

    def judge_each(self, commands: Sequence[Command]) -> Iterator[Judgement]:
        """The same of one after another, up to the first that is refused. Raises as `judge` does."""
        if len(commands) < RUN_MIN or not pays(self.index):
            yield from map(self.judge, commands)
            return
        place = 0
        while place < len(commands):
            run = plain_run(self.index, islice(commands, place, None), self.remembered)
            end = place + len(run.commands)
            yield from self._judge_run(run) if end - place >= RUN_MIN else map(self.judge, commands[place:end])
            yield from map(self.judge, commands[end : end + 1])  # what ended the run
            place = end + 1

    def _judge_run(self, run: PlainRun) -> Iterator[Judgement]:
        return map(self._plainly, run.commands, *record_run(self.index, run, self.now_us))

    def _judge_plain(self, command: RecordCommand) -> Judgement:
        return self._plainly(command, *record_plain(self.index, command, self.now_us))

    def _plainly(self, command: RecordCommand, entry: Entry, outcome: Outcome) -> Judgement:
        judgement = Judgement((Draft(entry, command.content_form),), (outcome,))
        self._remember(judgement)
        return judgement

    def note_expiries(self) -> list[Judgement]:
        """What has expired and is not in the log yet, an entry each: that is noted before anything else is judged.

        Each is tried on what stood before, to see what fell by it alone.
        """
        index = self.index
        savepoint = index.savepoint()
        noted = [self.judge(ExpireCommand(target=f"@{index.newest[edition]}")) for edition in index.retract_expiries()]
        index.rollback(savepoint)  # it expired when its moment came, not by being noted
        for entry in (entry for judgement in noted for entry in judgement.entries):
            index.apply(entry)
        return noted

    def recall(self, command: Command, *, whole: bool = False) -> Remembered | None:
        """What was answered to the same idempotency key. Raises IdempotencyConflict if the command was another."""
        found = self.remembered.get(command.idempotency_key) if command.idempotency_key is not None else None
        if found is None:
            return None
        if found.request.digest != command.sent_digest or (found.request.position == WHOLE_BATCH) != whole:
            entry = f"@{found.entry.seq}"
            raise IdempotencyConflict(
                f"the idempotency key {command.idempotency_key!r} was used by another command (entry {entry})",
                field="idempotency_key",
                entry=entry,
            )
        return found

    def answered(self, idempotency_key: str) -> int:
        """The entry that answers a key: of the log, of what is judged on top of it, or of this very batch; or 0."""
        found = self.remembered.get(idempotency_key)
        return found.entry.seq if found is not None else self.index.requests.recent.get(idempotency_key, 0)

    def _remember(self, judgement: Judgement) -> None:
        """A later batch of the same group may repeat a command of this one."""
        for draft in judgement.drafts:
            for request in draft.entry.requests:
                if request.idempotency_key is not None:  # the whole batch is answered by its last entry
                    before = judgement.entries[:-1] if request.position == WHOLE_BATCH else ()
                    self.remembered[request.idempotency_key] = Remembered(draft.entry, request, before)


def _check_impact(now: str, expected: str | None) -> None:
    """Whether a batch does what was shown of it."""
    if now != expected:
        raise ImpactChanged(
            "the ledger has moved, and these commands would do something else by now than was shown; look again",
            field="expects_impact",
            impact=now,
        )


class _Batch:
    """One batch under judgement."""

    def __init__(self, judge: Judge, command: Command) -> None:
        self.parent = judge
        self.index = judge.index
        self.command = command
        self.drafts = Drafts(judge.index, command, judge.now_us)
        self.outcomes: list[Outcome] = []
        self.wants_fresh: list[tuple[int, list[Premises]]] = []
        self.asked: dict[str, tuple[int, str]] = {}  # idempotency keys of this batch: where, and for what
        if isinstance(command, BatchCommand) and command.idempotency_key is not None:
            self.asked[command.idempotency_key] = (WHOLE_BATCH, command.sent_digest)
        self.twins: dict[int, int] = {}

    def judge(self) -> Judgement:
        whole = isinstance(self.command, BatchCommand)
        if whole and (found := self.parent.recall(self.command, whole=True)):
            return Judgement([], self._replay_batch(found), replayed=True)
        commands: Sequence[SingleCommand] = (
            self.command.commands if isinstance(self.command, BatchCommand) else [self.command]
        )
        for position, command in enumerate(commands):
            try:
                self.outcomes.append(self._judge_once(command, position))
            except LedgerError as error:
                if whole:
                    error.at(command=position)
                raise
        self.drafts.finish()
        for position, twin in self.twins.items():
            self.outcomes[position] = msgspec.structs.replace(self.outcomes[twin], replayed=True)
        self._check_wants(whole)
        replayed = all(outcome.replayed for outcome in self.outcomes)
        return Judgement(self.drafts.made, self._with_verdicts(self.outcomes), replayed)

    def _judge_once(self, command: SingleCommand, position: int) -> Outcome:
        """Law 11: what was answered before is answered again, from the log or from this very batch."""
        if found := self.parent.recall(command):
            return self._recollect(found.entry, found.request)
        twin = self._twin(command, position)
        if twin is None:
            return self._judge_single(command, position)
        self.twins[position] = twin
        return self.outcomes[twin]

    def _twin(self, command: SingleCommand, position: int) -> int | None:
        """Where the same command stands earlier in this batch, under the same idempotency key."""
        if command.idempotency_key is None:
            return None
        twin, digest = self.asked.setdefault(command.idempotency_key, (position, command.sent_digest))
        if digest != command.sent_digest:
            raise IdempotencyConflict(
                f"the idempotency key {command.idempotency_key!r} stands twice in this batch, for different commands",
                field="idempotency_key",
            )
        return twin if twin != position else None

    def _judge_single(self, command: SingleCommand, position: int) -> Outcome:
        match command:
            case RecordCommand():
                return self._record(command, position)
            case RevokeCommand():
                return self._revoke(command, position)
            case ReinstateCommand():
                return self._reinstate(command, position)
            case VerifyCommand():
                return self._verify(command, position)
            case ExpireCommand():
                return self._expire(command, position)

    # -- recording (laws 1-4) -----------------------------------------------------------------------------------------

    def _record(self, command: RecordCommand, position: int) -> Outcome:
        """In the order of law 3: references, kind; equal content; condemned; then what the laws refuse."""
        index = self.index
        because = laws.resolve_support(index, command.because)
        cites = tuple(dict.fromkeys([laws.resolve_field(index, ref, "cites") for ref in command.cites]))
        supersedes = laws.resolve_superseded(index, command.supersedes) if command.supersedes else ()
        key = index.keys.get(command.key, NONE) if command.key is not None else NONE
        current = 0
        if key != NONE:
            laws.check_kind(index, key, command)
            current = index.newest[index.current[key]] if index.current[key] != NONE else 0
            digest = bytes.fromhex(command.digest[7:])
            if current and not command.restate and index.digest_at(current) == digest:
                return self._repeat(command, position, current, because, supersedes)
            condemned = laws.condemned_version(index, key, digest)
            if condemned:
                contradicted = laws.contradicted_version(index, current, digest)
                return self.drafts.attempt(command, position, condemned, "condemned", contradicted)
        laws.check_current(index, command, current)
        fields: dict[str, Any] = {
            "digest": command.content_digest,
            "key": command.key,
            "version": index.version[index.newest_of_key[key]] + 1 if key != NONE else 1,
            "cites": cites,
            "without_content": command.content_form is None,
        }
        if command.amends is not None:
            return self._amend(command, position, current, because, fields | {"supersedes": supersedes})
        laws.check_supersession(index, key, supersedes)
        stood = laws.any_stands(index, because)
        fields |= {"because": tuple(because), "supersedes": supersedes, "follows": current or None}
        outcome = self.drafts.write(command, position, KINDS[command.kind], "recorded", fields, command.content_form)
        laws.check_still_stands(index, index.edition[outcome.entry], stood)
        self._want_fresh(command, position, because)
        return outcome

    def _amend(
        self,
        command: RecordCommand,
        position: int,
        current: int,
        because: list[Premises],
        fields: dict[str, Any],
    ) -> Outcome:
        """Law 1: the version joins the current edition; what rests on it is untouched."""
        index = self.index
        edition = index.edition[current]
        laws.check_amendment(index, current, because)
        supersedes = laws.new_supersessions(index, edition, fields["supersedes"])
        laws.check_supersession(index, index.key_of[edition], supersedes)
        stood = index.standing[edition] > 0
        fields |= {"amends": current, "supersedes": supersedes}
        outcome = self.drafts.write(command, position, KINDS[command.kind], "amended", fields, command.content_form)
        laws.check_still_stands(index, edition, stood)
        self._want_fresh(command, position, because)
        return outcome

    def _repeat(
        self,
        command: RecordCommand,
        position: int,
        current: int,
        because: list[Premises],
        supersedes: tuple[int, ...],
    ) -> Outcome:
        """Law 2: the content of the current version again. Law 3: it never revives what was withdrawn."""
        index = self.index
        edition = index.edition[current]
        if Reader(index).standing_against(edition):
            return self.drafts.attempt(command, position, current, "withheld")
        added: list[Premises] = []
        if not index.is_ground(edition):  # to a ground nothing is added
            added = laws.new_support(index, edition, because)
            self._want_fresh(command, position, because)
        overtaken = laws.new_supersessions(index, edition, supersedes)
        if added or overtaken or laws.moves_limit(index, edition, command):
            self.drafts.settle(current, command.digest)
        fields: dict[str, Any] = {"targets": (current,), "observed": (command.digest,)}
        if added or overtaken:
            return self._add_support(command, position, current, added, overtaken, fields)
        if laws.moves_limit(index, edition, command):
            return self.drafts.write(command, position, Verification, "repeated", fields, about=current)
        return self.drafts.look(command, position, current, [(current, command.digest)], "repeated")

    def _add_support(
        self,
        command: RecordCommand,
        position: int,
        current: int,
        added: list[Premises],
        overtaken: tuple[int, ...],
        fields: dict[str, Any],
    ) -> Outcome:
        index = self.index
        edition = index.edition[current]
        laws.check_supersession(index, index.key_of[edition], overtaken)
        laws.check_acyclic(index, edition, added)
        stood = index.standing[edition] > 0 or laws.any_stands(index, added)
        fields |= {"because": tuple(added), "supersedes": overtaken}
        outcome = self.drafts.write(command, position, Justification, "justified", fields, about=current)
        laws.check_still_stands(index, edition, stood)
        return outcome

    def _want_fresh(self, command: RecordCommand, position: int, because: list[Premises]) -> None:
        if command.require_fresh and because:
            self.wants_fresh.append((position, because))

    def _check_wants(self, whole: bool) -> None:
        """Law 15, at the end of the batch."""
        if not self.wants_fresh:
            return
        reader = Reader(self.index)
        for position, because in self.wants_fresh:
            if laws.any_stands(self.index, because):
                continue
            stale = [reader.verdict_of(premise) for premises in because for premise in premises]
            names = ", ".join(f"{one.ref} ({one.reason} by {one.cause})" for one in stale if not one.fresh)
            raise StalePremise(
                f"require_fresh: no justification stands; stale: {names}",
                field="because",
                command=position if whole else None,
            )

    # -- withdrawing, lifting, verifying, expiring (laws 5, 7, 8) -----------------------------------------------------

    def _revoke(self, command: RevokeCommand, position: int) -> Outcome:
        target = laws.revocable(self.index, command, self.parent.now_us)
        fields: dict[str, Any] = {"targets": (target,), "mode": command.mode, "reason": command.reason}
        if command.effective_at is not None:
            fields["effective_at_us"] = command.effective_at
        if command.mode == "erased":
            fields |= laws.erasure(self.index, target)._asdict()
        return self.drafts.write(
            command, position, Revocation, "revoked", fields, about=record_named(self.index, target)
        )

    def _reinstate(self, command: ReinstateCommand, position: int) -> Outcome:
        index = self.index
        target = laws.resolve_field(index, command.target, "target")
        edition = index.edition[target]
        stood = index.standing[edition] > 0
        was_wrong = index.flags[edition] & WRONG_FROM_BIRTH
        fields = {
            "targets": (target,),
            "lifts": laws.lifted(index, command, target, self.parent.answered),
            "reason": command.reason,
        }
        outcome = self.drafts.write(
            command, position, Reinstatement, "reinstated", fields, about=record_named(index, target)
        )
        if was_wrong and not index.flags[edition] & WRONG_FROM_BIRTH:  # it supersedes again
            laws.check_still_stands(index, edition, stood)
        return outcome

    def _verify(self, command: VerifyCommand, position: int) -> Outcome:
        index = self.index
        name = "targets" if command.targets is not None else "target"
        named = [record_named(index, laws.resolve_field(index, ref, name)) for ref, _ in command.looks]
        newest = [index.newest[index.edition[seq]] for seq in named]
        looks = list(zip(newest, [digest for _, digest in command.looks], strict=True))
        matches = all(index.digest_text(seq) == digest for seq, digest in looks)
        return self.drafts.look(command, position, named[0], looks, "verified" if matches else "diverged")

    def _expire(self, command: ExpireCommand, position: int) -> Outcome:
        target = record_named(self.index, laws.resolve_field(self.index, command.target, "target"))
        limit = self.index.limits.get(self.index.edition[target])
        if limit is None or limit.moment_us > self.parent.now_us:
            raise Malformed(f"{name_of(self.index, target)} has not expired", field="target")
        return self.drafts.write(command, position, Expiry, "expired", {"targets": (target,)}, about=target)

    # -- answering again (law 11) -------------------------------------------------------------------------------------

    def _replay_batch(self, found: Remembered) -> list[Outcome]:
        answered = {
            request.position: self._recollect(entry, request)
            for entry in found.batch
            for request in entry.requests
            if request.position != WHOLE_BATCH
        }
        commands = self.command.commands if isinstance(self.command, BatchCommand) else []
        outcomes = [
            # What the batch itself only replayed is remembered with the command.
            answered[position] if position in answered else self._judge_once(command, position)
            for position, command in enumerate(commands)
        ]
        return self._with_verdicts(outcomes)

    def _recollect(self, entry: Entry, request: Request) -> Outcome:
        index = self.index
        about = request.about or (record_named(index, entry.targets[0]) if isinstance(entry, Event) else entry.seq)
        kept_out = request.outcome in ("withheld", "condemned")
        return Outcome(
            request.outcome,
            entry.seq,
            about,
            stands=Reader(index).standing_against(index.edition[about]) if kept_out else [],
            fell=Change(request.fell, request.fell_first),
            revived=Change(request.revived, request.revived_first),
            replayed=True,
        )

    def _with_verdicts(self, outcomes: list[Outcome]) -> list[Outcome]:
        reader = Reader(self.index)
        for outcome in outcomes:
            outcome.verdict = reader.verdict_of(outcome.about)
        return outcomes
