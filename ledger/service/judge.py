"""Judging: from a command and the state at the head to entries and an outcome, or a refusal. The laws are in `laws`.

Pure but for the index it is given, which it changes as it goes: each entry is applied as soon as it is decided, so the
next command of the batch sees it. The caller sets a savepoint before and rolls back after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from ledger.errors import IdempotencyConflict, LedgerError, Malformed, StalePremise
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
    NOBODY,
    WHOLE_BATCH,
    Attempt,
    Entry,
    Event,
    Expiry,
    Justification,
    Reinstatement,
    Request,
    Revocation,
    Verification,
)
from ledger.model.result import FIRST_MAX
from ledger.model.verdict import UNKNOWN, Verdict
from ledger.service import laws
from ledger.service.laws import Premises
from ledger.validity.index import NONE, WRONG_FROM_BIRTH, Index
from ledger.validity.resolve import name_of, record_named
from ledger.validity.verdicts import Reader


class Remembered(NamedTuple):
    """A command answered before, and the entries of its batch."""

    entry: int
    request: Request
    batch: Sequence[Entry]


class Draft(NamedTuple):
    """An entry to be sealed, with the canonical content that goes beside it."""

    entry: Entry
    content: str | None


class Change(NamedTuple):
    """Editions that fell, or revived: how many, and the first of them by their newest versions."""

    number: int = 0
    first: tuple[int, ...] = ()


NO_CHANGE = Change()
_UNJUDGED = Verdict("", UNKNOWN)


@dataclass(slots=True)
class Outcome:
    """What came of one command; the revision is known when the batch is sealed."""

    outcome: str
    entry: int
    about: int  # the version it is about
    stands: list[int] = field(default_factory=list)
    fell: Change = NO_CHANGE
    revived: Change = NO_CHANGE
    replayed: bool = False
    verdict: Verdict = _UNJUDGED


class Judgement(NamedTuple):
    """A batch that passed: its entries (none, if all was answered before) and one outcome for each command."""

    drafts: list[Draft]
    outcomes: list[Outcome]
    replayed: bool = False


class _Pending:
    """An entry that gathers commands of one batch: repetitions and looks, or attempts."""

    def __init__(self, kind: type[Entry]) -> None:
        self.kind = kind
        self.targets: list[int] = []
        self.observed: list[str] = []
        self.spans: list[tuple[int, int]] = []  # which targets are whose
        self.requests: list[tuple[SingleCommand | None, int]] = []
        self.outcomes: list[Outcome] = []
        self.contradicts: list[int] = []  # of attempts

    def add(
        self, command: SingleCommand, position: int, about: int, looks: list[tuple[int, str]], outcome: str
    ) -> Outcome:
        """The outcome; its entry is known when it is written."""
        start = len(self.targets)
        self.targets += [seq for seq, _ in looks]
        self.observed += [digest for _, digest in looks]
        self.spans.append((start, len(self.targets)))
        self.requests.append((command, position))
        self.outcomes.append(Outcome(outcome, 0, about))
        return self.outcomes[-1]

    def settle(self, index: Index, current: int, digest: str) -> None:
        """A repetition with an entry of its own comes after these looks: it has the last word on its edition."""
        edition = index.edition[current]
        if any(index.edition[target] == edition for target in self.targets):
            self.targets.append(current)
            self.observed.append(digest)
            self.spans.append((len(self.targets) - 1, len(self.targets)))
            self.requests.append((None, NOBODY))
            self.outcomes.append(Outcome("settled", 0, current))

    def withdraw_contradictions(self, index: Index, target: int) -> None:
        """A later look matched: what was tried before no longer says otherwise."""
        edition = index.edition[target]
        self.contradicts = [seq if index.edition[seq] != edition else 0 for seq in self.contradicts]


class Judge:
    """Judges one batch after another against an index that is journalling.

    `remembered` holds what the log knows of the idempotency keys these batches carry.
    """

    def __init__(self, index: Index, now_us: int, remembered: Mapping[str, Remembered]) -> None:
        self.index = index
        self.now_us = now_us
        self.remembered = dict(remembered)

    def judge(self, command: Command) -> Judgement:
        """The entries and outcomes of a batch (a single command is a batch of its own).

        Raises Refused with the position of the command; the index is then as it was before the call.
        """
        savepoint = self.index.savepoint()
        try:
            judgement = _Batch(self, command).judge()
        except BaseException:
            self.index.rollback(savepoint)
            raise
        self._remember(judgement)
        return judgement

    def recall(self, command: Command, *, whole: bool = False) -> Remembered | None:
        """What was answered to the same idempotency key. Raises IdempotencyConflict if the command was another."""
        found = self.remembered.get(command.idempotency_key) if command.idempotency_key is not None else None
        if found is None:
            return None
        if found.request.digest != command.sent_digest or (found.request.position == WHOLE_BATCH) != whole:
            raise IdempotencyConflict(
                f"the idempotency key {command.idempotency_key!r} was used by another command (entry @{found.entry})",
                field="idempotency_key",
                entry=f"@{found.entry}",
            )
        return found

    def _remember(self, judgement: Judgement) -> None:
        """A later batch of the same group may repeat a command of this one."""
        batch = [draft.entry for draft in judgement.drafts]
        for entry in batch:
            for request in entry.requests:
                if request.idempotency_key is not None:
                    self.remembered[request.idempotency_key] = Remembered(entry.seq, request, batch)


class _Batch:
    """One batch under judgement."""

    def __init__(self, judge: Judge, command: Command) -> None:
        self.parent = judge
        self.index = judge.index
        self.command = command
        self.first = len(judge.index.kind)
        self.drafts: list[Draft] = []
        self.outcomes: list[Outcome] = []
        self.wants_fresh: list[tuple[int, list[Premises]]] = []
        self.asked: dict[str, tuple[int, str]] = {}  # idempotency keys of this batch: where, and for what
        if isinstance(command, BatchCommand) and command.idempotency_key is not None:
            self.asked[command.idempotency_key] = (WHOLE_BATCH, command.sent_digest)
        self.twins: dict[int, int] = {}
        self.repetitions: _Pending | None = None
        self.attempts: _Pending | None = None

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
        if self.attempts or self.repetitions:
            self._write_pending()
        for position, twin in self.twins.items():
            self.outcomes[position] = replace(self.outcomes[twin], replayed=True)
        self._check_wants(whole)
        if whole:
            self._sign_batch()
        replayed = all(outcome.replayed for outcome in self.outcomes)
        return Judgement(self.drafts, self._with_verdicts(self.outcomes), replayed)

    def _judge_once(self, command: SingleCommand, position: int) -> Outcome:
        """Law 11: what was answered before is answered again, from the log or from this very batch."""
        if found := self.parent.recall(command):
            return self._recollect(found.batch[found.entry - found.batch[0].seq], found.request)
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
        supersedes = laws.resolve_superseded(index, command.supersedes)
        key = index.keys.get(command.key, NONE) if command.key is not None else NONE
        current = 0
        if key != NONE:
            laws.check_kind(index, key, command)
            current = index.newest[index.current[key]] if index.current[key] != NONE else 0
            digest = bytes.fromhex(_digest(command)[7:])
            if current and not command.restate and index.digest_at(current) == digest:
                return self._repeat(command, position, current, because, supersedes)
            condemned = laws.condemned_version(index, key, digest)
            if condemned:
                contradicted = laws.contradicted_version(index, current, digest)
                return self._attempt(command, position, condemned, "condemned", contradicted)
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
        stood = any(laws.stands(index, premises) for premises in because)
        fields |= {"because": tuple(because), "supersedes": supersedes, "follows": current or None}
        outcome = self._write(command, position, KINDS[command.kind], "recorded", fields, command.content_form)
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
        outcome = self._write(command, position, KINDS[command.kind], "amended", fields, command.content_form)
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
            return self._attempt(command, position, current, "withheld")
        added: list[Premises] = []
        if not index.is_ground(edition):  # to a ground nothing is added
            added = laws.new_support(index, edition, because)
            self._want_fresh(command, position, because)
        overtaken = laws.new_supersessions(index, edition, supersedes)
        if added or overtaken or laws.moves_limit(index, edition, command):
            self._settle(current, _digest(command))
        fields: dict[str, Any] = {"targets": (current,), "observed": (_digest(command),)}
        if added or overtaken:
            return self._add_support(command, position, current, added, overtaken, fields)
        if laws.moves_limit(index, edition, command):
            return self._write(command, position, Verification, "repeated", fields, about=current)
        return self._look(command, position, current, [(current, _digest(command))], "repeated")

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
        stood = index.standing[edition] > 0 or any(laws.stands(index, premises) for premises in added)
        fields |= {"because": tuple(added), "supersedes": overtaken}
        outcome = self._write(command, position, Justification, "justified", fields, about=current)
        laws.check_still_stands(index, edition, stood)
        return outcome

    def _want_fresh(self, command: RecordCommand, position: int, because: list[Premises]) -> None:
        if command.require_fresh and because:
            self.wants_fresh.append((position, because))

    def _check_wants(self, whole: bool) -> None:
        """Law 15, at the end of the batch."""
        reader = Reader(self.index)
        for position, because in self.wants_fresh:
            if any(laws.stands(self.index, premises) for premises in because):
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
        return self._write(command, position, Revocation, "revoked", fields, about=record_named(self.index, target))

    def _reinstate(self, command: ReinstateCommand, position: int) -> Outcome:
        index = self.index
        target = laws.resolve_field(index, command.target, "target")
        edition = index.edition[target]
        stood = index.standing[edition] > 0
        was_wrong = index.flags[edition] & WRONG_FROM_BIRTH
        fields = {
            "targets": (target,),
            "lifts": laws.lifted(index, command, target),
            "reason": command.reason,
        }
        outcome = self._write(command, position, Reinstatement, "reinstated", fields, about=record_named(index, target))
        if was_wrong and not index.flags[edition] & WRONG_FROM_BIRTH:  # it supersedes again
            laws.check_still_stands(index, edition, stood)
        return outcome

    def _verify(self, command: VerifyCommand, position: int) -> Outcome:
        index = self.index
        name = "targets" if command.targets is not None else "target"
        named = [record_named(index, laws.resolve_field(index, ref, name)) for ref, _ in command.looks]
        newest = [index.newest[index.edition[seq]] for seq in named]
        looks = list(zip(newest, [digest for _, digest in command.looks], strict=True))
        matches = all(self._digest_at(seq) == digest for seq, digest in looks)
        return self._look(command, position, named[0], looks, "verified" if matches else "diverged")

    def _digest_at(self, seq: int) -> str:
        return "sha256:" + self.index.digest_at(seq).hex()

    def _expire(self, command: ExpireCommand, position: int) -> Outcome:
        target = record_named(self.index, laws.resolve_field(self.index, command.target, "target"))
        limit = self.index.limits.get(self.index.edition[target])
        if limit is None or limit.moment_us > self.parent.now_us:
            raise Malformed(f"{name_of(self.index, target)} has not expired", field="target")
        return self._write(command, position, Expiry, "expired", {"targets": (target,)}, about=target)

    # -- writing ------------------------------------------------------------------------------------------------------

    def _write(
        self,
        command: SingleCommand,
        position: int,
        kind: type[Entry],
        outcome: str,
        fields: dict[str, Any],
        content: str | None = None,
        about: int | None = None,
    ) -> Outcome:
        """Decide an entry: apply it, see what it did, and keep that in it."""
        fields |= {"actor": command.actor or self.command.actor, "occurred_at_us": self._occurred_at(command)}
        if isinstance(command, RecordCommand) and "valid_until" in command.model_fields_set:
            fields["valid_until_us"] = command.valid_until
        entry, fell, revived = self._apply(kind, fields)
        answer = Outcome(outcome, entry.seq, about or entry.seq, fell=fell, revived=revived)
        # An expiry that the ledger notes itself answers nobody.
        if command.sent_digest:
            self._sign(entry, (_request(command, position, answer),))
        self.drafts.append(Draft(entry, content))
        return answer

    def _settle(self, current: int, digest: str) -> None:
        if self.attempts:
            self.attempts.withdraw_contradictions(self.index, current)
        if self.repetitions:
            self.repetitions.settle(self.index, current, digest)

    def _look(
        self, command: SingleCommand, position: int, about: int, looks: list[tuple[int, str]], outcome: str
    ) -> Outcome:
        """Law 2: what a batch only looks at again is one verification."""
        self.repetitions = self.repetitions or _Pending(Verification)
        if self.attempts:
            for target, digest in looks:
                if self._digest_at(target) == digest:
                    self.attempts.withdraw_contradictions(self.index, target)
        return self.repetitions.add(command, position, about, looks, outcome)

    def _attempt(
        self, command: RecordCommand, position: int, about: int, outcome: str, contradicts: int = 0
    ) -> Outcome:
        """Law 3: what a batch tried in vain is one attempt."""
        index = self.index
        self.attempts = self.attempts or _Pending(Attempt)
        answer = self.attempts.add(command, position, about, [(about, _digest(command))], outcome)
        self.attempts.contradicts.append(contradicts)
        if outcome == "withheld":
            answer.stands = Reader(index).standing_against(index.edition[about])
        else:
            answer.stands = [one.seq for one in index.withdrawals[index.edition[about]]]
        return answer

    def _write_pending(self) -> None:
        """Repetitions and attempts, one entry each, at the end of the batch.

        In this order: an attempt after a look contradicts it, and before one that matched it contradicts nothing.
        """
        for pending in (self.repetitions, self.attempts):
            if pending:
                self._write_gathered(pending)

    def _write_gathered(self, pending: _Pending) -> None:
        commands = [command for command, _ in pending.requests if command is not None]
        actors = {command.actor or self.command.actor for command in commands}
        moments = {self._occurred_at(command) for command in commands}
        fields: dict[str, Any] = {
            "targets": tuple(pending.targets),
            "observed": tuple(pending.observed),
            "actor": actors.pop() if len(actors) == 1 else self.command.actor,
            "occurred_at_us": min((moment for moment in moments if moment is not None), default=None),
        }
        if any(pending.contradicts):
            fields["contradicts"] = tuple(pending.contradicts)
        self._tell_apart(pending, fields)
        entry, _, _ = self._apply(pending.kind, fields)
        self._sign(
            entry,
            tuple(
                _request(command, position, answer, answer.about, end - start)
                for (command, position), answer, (start, end) in zip(
                    pending.requests, pending.outcomes, pending.spans, strict=True
                )
            ),
        )
        self.drafts.append(Draft(entry, None))
        for outcome in pending.outcomes:
            outcome.entry = entry.seq

    def _tell_apart(self, pending: _Pending, fields: dict[str, Any]) -> None:
        """What each of the gathered commands did: they are tried one by one, and undone."""
        savepoint = self.index.savepoint()
        if len(pending.outcomes) > 1:
            _, fell, revived = self._apply(pending.kind, fields)
            self.index.rollback(savepoint)
            if not fell.number and not revived.number:
                return
        for outcome, (start, end) in zip(pending.outcomes, pending.spans, strict=True):
            own = {name: fields[name][start:end] for name in ("targets", "observed", "contradicts") if name in fields}
            _, outcome.fell, outcome.revived = self._apply(pending.kind, fields | own)
        self.index.rollback(savepoint)

    def _apply(self, kind: type[Entry], fields: dict[str, Any]) -> tuple[Entry, Change, Change]:
        """Make the next entry and apply it, still without its requests: they will hold what applying it did."""
        index = self.index
        entry = kind(seq=len(index.kind), batch=self.first, recorded_at_us=self.parent.now_us, **fields)
        index.watch()
        index.apply(entry)
        fell, revived = index.changes()
        return entry, self._change(fell), self._change(revived)

    def _sign(self, entry: Entry, requests: tuple[Request, ...]) -> None:
        """Give an entry the commands it answers. From here on it is frozen."""
        msgspec.structs.force_setattr(entry, "requests", requests)
        for request in requests:
            if request.idempotency_key is not None:
                self.index.remember(request.idempotency_key, entry.seq)

    def _change(self, editions: list[int]) -> Change:
        if not editions:
            return NO_CHANGE
        return Change(len(editions), tuple(self.index.newest[one] for one in sorted(editions)[:FIRST_MAX]))

    def _sign_batch(self) -> None:
        """The last entry of a batch remembers the batch as a whole."""
        key = self.command.idempotency_key
        if not self.drafts or key is None:
            return
        entry, content = self.drafts[-1]
        whole = Request(digest=self.command.sent_digest, outcome="batch", position=WHOLE_BATCH, idempotency_key=key)
        self.drafts[-1] = Draft(msgspec.structs.replace(entry, requests=(*entry.requests, whole)), content)
        self.index.remember(key, entry.seq)

    def _occurred_at(self, command: SingleCommand) -> int | None:
        return command.occurred_at if command.occurred_at is not None else self.command.occurred_at

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


def _request(command: SingleCommand | None, position: int, answer: Outcome, about: int = 0, looks: int = 1) -> Request:
    return Request(
        digest=command.sent_digest if command else "",
        outcome=answer.outcome,
        position=position,
        idempotency_key=command.idempotency_key if command else None,
        about=about,
        looks=looks,
        fell=answer.fell.number,
        fell_first=answer.fell.first,
        revived=answer.revived.number,
        revived_first=answer.revived.first,
    )


def _digest(command: RecordCommand) -> str:
    assert command.content_digest is not None  # settled when the command was parsed
    return command.content_digest
