"""The laws for writing: from a command and the state at the head to entries and an outcome, or a refusal.

Pure but for the index it is given, which it changes as it goes: each entry is applied as soon as it is decided, so the
next command of the batch sees it. The caller sets a savepoint before and rolls back after.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import msgspec

from ledger.clock import format_moment
from ledger.errors import (
    AmendmentChangesSupport,
    CircularSupersession,
    CircularSupport,
    ErasedIsFinal,
    IdempotencyConflict,
    KindConflict,
    LedgerError,
    Malformed,
    NotAPremise,
    NotCurrent,
    NotFound,
    NothingToLift,
    NotRevocable,
    NotStanding,
    SelfDefeating,
    SeveralWithdrawals,
    StalePremise,
)
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
from ledger.model.result import FIRST_MAX, NO_EFFECT, Effect
from ledger.model.verdict import Verdict
from ledger.validity.index import CONDEMNING, ERASED, KIND_CODES, KIND_NAMES, NONE, WRONG_FROM_BIRTH, Index
from ledger.validity.resolve import name_of, record_named, resolve
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


@dataclass(slots=True)
class Outcome:
    """What came of one command; the revision is known when the batch is sealed."""

    outcome: str
    entry: int
    about: int  # the version it is about
    stands: list[int] = field(default_factory=list)
    fell: Effect = NO_EFFECT
    revived: Effect = NO_EFFECT
    replayed: bool = False
    verdict: Verdict | None = None


class Judgement(NamedTuple):
    """A batch that passed: its entries (none, if all was answered before) and one outcome for each command."""

    drafts: list[Draft]
    outcomes: list[Outcome]
    replayed: bool = False


@dataclass(slots=True)
class _Pending:
    """An entry that gathers commands of one batch, written at its end: repetitions, attempts."""

    targets: list[int] = field(default_factory=list)
    observed: list[str] = field(default_factory=list)
    requests: list[tuple[SingleCommand, int]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    latest: int = 0


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
        self.wants_fresh: list[tuple[int, list[tuple[int, ...]]]] = []
        self.asked: dict[str, tuple[int, str]] = {}
        self.repetitions = _Pending()
        self.attempts = _Pending()

    def judge(self) -> Judgement:
        whole = isinstance(self.command, BatchCommand)
        if whole and (found := self.parent.recall(self.command, whole=True)):
            return Judgement([], self._replay_batch(found), replayed=True)
        commands: Sequence[SingleCommand] = self.command.commands if isinstance(self.command, BatchCommand) else [self.command]
        for position, command in enumerate(commands):
            try:
                self.outcomes.append(self._judge_single(command, position))
            except LedgerError as error:
                if whole:
                    error.at(command=position)
                raise
        self._write_pending()
        self._check_wants(whole)
        if whole:
            self._sign_batch()
        replayed = all(outcome.replayed for outcome in self.outcomes)
        return Judgement(self.drafts, self._with_verdicts(self.outcomes), replayed)

    def _judge_single(self, command: SingleCommand, position: int) -> Outcome:
        if found := self.parent.recall(command):
            return self._recollect(found.batch[found.entry - found.batch[0].seq], found.request)
        twin = self._asked_before(command)
        if twin is not None:
            return replace(self.outcomes[twin], replayed=True)
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

    def _asked_before(self, command: SingleCommand) -> int | None:
        """The position of the same command in this batch, under the same idempotency key."""
        if command.idempotency_key is None:
            return None
        if command.idempotency_key not in self.asked:
            self.asked[command.idempotency_key] = (len(self.outcomes), command.sent_digest)
            return None
        position, digest = self.asked[command.idempotency_key]
        if digest != command.sent_digest:
            raise IdempotencyConflict(
                f"the idempotency key {command.idempotency_key!r} stands twice in this batch, for different commands",
                field="idempotency_key",
            )
        return position

    # -- recording (laws 1-4) -----------------------------------------------------------------------------------------

    def _record(self, command: RecordCommand, position: int) -> Outcome:
        index = self.index
        because = self._resolve_support(command)
        cites = tuple(dict.fromkeys([self._resolve(ref, "cites") for ref in command.cites])) if command.cites else ()
        supersedes = self._resolve_superseded(command) if command.supersedes else ()
        key = index.keys.get(command.key, NONE) if command.key is not None else NONE
        digest = command.content_digest or ""
        current = 0
        if key != NONE:
            if index.key_kind[key] != KIND_CODES[command.kind]:
                kind = KIND_NAMES[index.key_kind[key]]
                raise KindConflict(f"{command.key!r} is of kind {kind}, and a key keeps its kind", field="kind", kind=kind)
            current = index.newest[index.current[key]] if index.current[key] != NONE else 0
            observed = bytes.fromhex(digest[7:])
            if current and not command.restate and index.digest_at(current) == observed:
                return self._repeat(command, position, current, because, supersedes)
            if index.condemned.get(key) and (condemned := self._condemned(key, observed)):
                against = [one.seq for one in index.withdrawals[index.edition[condemned]]]
                return self._attempt(command, position, condemned, "condemned", against)
        self._check_current(command, current)
        if command.amends is not None:
            self._check_amendment(command, current, because)
        return self._new_version(command, position, key, current, because, cites, supersedes)

    def _new_version(
        self,
        command: RecordCommand,
        position: int,
        key: int,
        current: int,
        because: list[tuple[int, ...]],
        cites: tuple[int, ...],
        supersedes: tuple[int, ...],
    ) -> Outcome:
        index = self.index
        amends = current if command.amends is not None else None
        edition = index.edition[current] if amends else NONE
        if amends:
            supersedes = self._new_supersessions(edition, supersedes)
        self._check_circles(key, supersedes)
        stood = any(self._stands(premises) for premises in because) if not amends else index.standing[edition] > 0
        fields: dict[str, Any] = {
            "digest": command.content_digest,
            "key": command.key,
            "version": index.version[index.newest_of_key[key]] + 1 if key != NONE else 1,
            "because": () if amends else tuple(because),
            "cites": cites,
            "supersedes": supersedes,
            "amends": amends,
            "without_content": command.content_form is None,
        }
        self._add_limit(fields, command)
        outcome = self._write(command, position, KINDS[command.kind], "amended" if amends else "recorded", fields, command.content_form)
        edition = index.edition[outcome.entry]
        self._check_still_stands(edition, stood)
        self._want_fresh(command, position, because)
        return outcome

    def _repeat(
        self, command: RecordCommand, position: int, current: int, because: list[tuple[int, ...]], supersedes: tuple[int, ...]
    ) -> Outcome:
        """Law 2: the content of the current version again. Law 3: it never revives what was withdrawn."""
        index = self.index
        edition = index.edition[current]
        against = Reader(index).standing_against(edition)
        if against:
            return self._attempt(command, position, current, "withheld", against)
        ground = index.is_ground(edition)
        added = [] if ground else self._new_support(edition, because)
        overtaken = self._new_supersessions(edition, supersedes)
        if not ground:
            self._want_fresh(command, position, because)
        if not added and not overtaken and not self._moves_limit(command, edition):
            return self._gather(self.repetitions, command, position, [(current, command.content_digest or "")], "repeated")
        self._check_acyclic(edition, added)
        self._check_circles(index.key_of[edition], overtaken)
        stood = index.standing[edition] > 0 or any(self._stands(premises) for premises in added)
        fields: dict[str, Any] = {"targets": (current,), "observed": (command.content_digest or "",)}
        self._add_limit(fields, command)
        if not added and not overtaken:
            return self._write(command, position, Verification, "repeated", fields, about=current)
        fields |= {"because": tuple(added), "supersedes": overtaken}
        outcome = self._write(command, position, Justification, "justified", fields, about=current)
        self._check_still_stands(edition, stood)
        return outcome

    def _condemned(self, key: int, observed: bytes) -> int:
        """The newest version of the key with this content that is condemned; 0 if none is."""
        index = self.index
        for seq in index.versions(key):
            if index.flags[index.edition[seq]] & CONDEMNING and index.digest_at(seq) == observed:
                return seq
        return 0

    def _attempt(self, command: RecordCommand, position: int, about: int, outcome: str, against: list[int]) -> Outcome:
        gathered = self._gather(self.attempts, command, position, [(about, command.content_digest or "")], outcome)
        gathered.stands = against
        return gathered

    def _check_current(self, command: RecordCommand, current: int) -> None:
        version = self.index.version[current] if current else 0
        has = f"version {version} is current" if version else "the key has no current version"
        for name, wanted in (("expects", command.expects), ("amends", command.amends)):
            if wanted is not None and wanted != version:
                raise NotCurrent(f"{name} version {wanted} of {command.key!r}, but {has}", field=name, current=version)

    def _check_amendment(self, command: RecordCommand, current: int, because: list[tuple[int, ...]]) -> None:
        other = self._other_support(self.index.edition[current], because)
        if other:
            raise AmendmentChangesSupport(
                f"an amendment of {name_of(self.index, current)} joins its edition and cannot rest on anything else; "
                "leave because out, or record a new version without amends",
                field="because",
            )

    def _new_support(self, edition: int, because: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        """Justifications equal, by editions, to none this edition ever had."""
        return self._other_support(edition, because)

    def _other_support(self, edition: int, because: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
        if not because:
            return []
        index = self.index
        had = {frozenset(index.premises(row)) for row in index.justifications(edition)}
        return [premises for premises in because if self._editions(premises) not in had]

    def _new_supersessions(self, edition: int, supersedes: tuple[int, ...]) -> tuple[int, ...]:
        """Keys this edition never named, lifted ones included."""
        named = self.index.supersedes.get(edition, ())
        return tuple(seq for seq in supersedes if self.index.key_of[self.index.edition[seq]] not in named)

    def _check_circles(self, key: int, supersedes: tuple[int, ...]) -> None:
        """No key may come to supersede itself; judged over all supersessions not lifted, whatever their standing."""
        if not supersedes or key == NONE:
            return
        index = self.index
        above = {key: NONE}
        for at in (queue := [key]):
            for one in index.superseded_by.get(at, ()):
                by = index.key_of[one.edition]
                if by != NONE and by not in above:
                    above[by] = at
                    queue.append(by)
        for seq in supersedes:
            superseded = index.key_of[index.edition[seq]]
            if superseded in above:
                path = [superseded]
                while above[path[-1]] != NONE:
                    path.append(above[path[-1]])
                names = " > ".join(index.key_names[one] for one in [key, *path])
                raise CircularSupersession(f"keys would supersede each other in a circle: {names}", field="supersedes")

    def _check_acyclic(self, edition: int, added: list[tuple[int, ...]]) -> None:
        """Walk back from the new premises; whoever rests on `edition` was born, or given support, after it."""
        index = self.index
        born = index.birth[edition]
        came_from: dict[int, int] = {}
        queue = [premise for premises in added for premise in self._editions(premises)]
        came_from.update(dict.fromkeys(queue, NONE))
        for at in queue:
            if at == edition:
                names = [name_of(index, index.newest[edition])]
                while came_from[at] != NONE:
                    at = came_from[at]
                    names.append(name_of(index, index.newest[at]))
                path = " < ".join([name_of(index, index.newest[edition]), *reversed(names)])
                raise CircularSupport(f"it would rest on itself: {path}", field="because")
            row = index.first_justification[at]
            if row == NONE or index.entry_of[row] <= born:
                continue
            for row in index.justifications(at):
                for premise in index.premises(row):
                    if premise not in came_from:
                        came_from[premise] = at
                        queue.append(premise)

    def _check_still_stands(self, edition: int, stood: bool) -> None:
        if stood and not self.index.standing[edition]:
            raise SelfDefeating(
                "by superseding it would fell what it rests on itself; cite the old version instead of resting on it",
                field="because",
            )

    def _want_fresh(self, command: RecordCommand, position: int, because: list[tuple[int, ...]]) -> None:
        if command.require_fresh and because:
            self.wants_fresh.append((position, because))

    def _check_wants(self, whole: bool) -> None:
        reader = Reader(self.index)
        for position, because in self.wants_fresh:
            if any(self._stands(premises) for premises in because):
                continue
            stale = [reader.verdict_of(premise) for premises in because for premise in premises]
            names = ", ".join(f"{one.ref} ({one.reason} by {one.cause})" for one in stale if not one.fresh)
            raise StalePremise(
                f"require_fresh: no justification stands; stale: {names}", field="because", command=position if whole else None
            )

    def _stands(self, premises: tuple[int, ...]) -> bool:
        valid, edition = self.index.valid, self.index.edition
        return all([valid[edition[premise]] for premise in premises])

    def _editions(self, premises: tuple[int, ...]) -> frozenset[int]:
        edition = self.index.edition
        return frozenset([edition[premise] for premise in premises])

    def _moves_limit(self, command: RecordCommand, edition: int) -> bool:
        if "valid_until" not in command.model_fields_set:
            return False
        limit = self.index.limits.get(edition)
        return (limit.moment_us if limit else None) != command.valid_until

    def _add_limit(self, fields: dict[str, Any], command: RecordCommand) -> None:
        if "valid_until" in command.model_fields_set:
            fields["valid_until_us"] = command.valid_until

    # -- withdrawing and lifting (law 5) ------------------------------------------------------------------------------

    def _revoke(self, command: RevokeCommand, position: int) -> Outcome:
        index = self.index
        named = _entry_number(command.target)
        if named is not None and self._is_event(named) and named not in index.added:
            kind = KIND_NAMES[index.kind[named]]
            raise NotRevocable(f"@{named} is a {kind}; only records and added justifications can be revoked", field="target")
        target = self._resolve(command.target, "target")
        if command.effective_at is not None and command.effective_at > self.parent.now_us:
            raise Malformed(
                f"effective_at {format_moment(command.effective_at)} is after now, {format_moment(self.parent.now_us)}",
                field="effective_at",
            )
        fields: dict[str, Any] = {"targets": (target,), "mode": command.mode, "reason": command.reason}
        if command.effective_at is not None:
            fields["effective_at_us"] = command.effective_at
        if command.mode == "erased":
            if target in index.added:
                raise NotRevocable(f"@{target} added support and has no content to erase; revoke it", field="mode")
            fields |= self._erasure(target)
        return self._write(command, position, Revocation, "revoked", fields, about=record_named(index, target))

    def _erasure(self, target: int) -> dict[str, Any]:
        """Every edition of the key that shares a content with the one named, and all their versions."""
        index = self.index
        edition = index.edition[target]
        key = index.key_of[edition]
        if key == NONE:
            return {"erases": (target,)}
        contents = {index.digest_at(seq) for seq in index.versions_of_edition(edition)}
        editions = {edition: target}
        for seq in index.versions(key):
            if index.digest_at(seq) in contents:
                editions.setdefault(index.edition[seq], seq)
        erases = sorted(seq for seq in index.versions(key) if index.edition[seq] in editions)
        return {"targets": tuple(editions.values()), "erases": tuple(erases)}

    def _reinstate(self, command: ReinstateCommand, position: int) -> Outcome:
        index = self.index
        target = self._resolve(command.target, "target")
        edition = index.edition[target]
        stood = index.standing[edition] > 0
        lifts = self._lifts(command, target)
        fields = {"targets": (target,), "lifts": lifts, "reason": command.reason}
        was_wrong = index.flags[edition] & WRONG_FROM_BIRTH
        outcome = self._write(command, position, Reinstatement, "reinstated", fields, about=record_named(index, target))
        if was_wrong and not index.flags[edition] & WRONG_FROM_BIRTH:
            self._check_still_stands(edition, stood)
        return outcome

    def _lifts(self, command: ReinstateCommand, target: int) -> tuple[int, ...]:
        index = self.index
        edition = index.edition[target]
        on_support = target in index.added
        withdrawals = index.support_withdrawals.get(target, ()) if on_support else index.withdrawals.get(edition, ())
        standing = {one.seq: one.flag for one in withdrawals}
        supersessions = () if on_support else index.superseded_by.get(index.key_of[edition], ())
        overtaken = {one.seq for one in supersessions}
        name = name_of(index, target)
        if not command.lifts:
            if len(standing) > 1:
                named = [f"@{seq}" for seq in sorted(standing)]
                raise SeveralWithdrawals(
                    f"{len(named)} withdrawals stand on {name}: name those to lift: {', '.join(named)}", field="lifts", standing=named
                )
            if not standing:
                hint = f"; superseded by {_ids(overtaken)}, which is lifted only when named" if overtaken else ""
                raise NothingToLift(f"no withdrawal stands on {name}{hint}", field="target")
        lifts = tuple(dict.fromkeys(self._lifted(text) for text in command.lifts)) or tuple(standing)
        for seq in lifts:
            if standing.get(seq) == ERASED:
                raise ErasedIsFinal(f"@{seq} erased the content of {name}; that cannot be lifted", field="lifts")
            if seq not in standing and seq not in overtaken:
                raise NotStanding(
                    f"@{seq} does not stand on {name}; standing: {_ids(standing.keys() | overtaken) or 'nothing'}", field="lifts"
                )
        return lifts

    def _lifted(self, text: str) -> int:
        number = _entry_number(text)
        if number is not None:
            return number
        seq = self.index.requests.get(text)
        if seq is None:
            raise NotFound(f"no command with the idempotency key {text!r} is known", field="lifts")
        return seq

    # -- verifying and expiring (laws 7, 8) ---------------------------------------------------------------------------

    def _verify(self, command: VerifyCommand, position: int) -> Outcome:
        field_ = "targets" if command.targets is not None else "target"
        looks = [(record_named(self.index, self._resolve(ref, field_)), digest) for ref, digest in command.looks]
        matches = all(self._newest_digest(seq) == digest for seq, digest in looks)
        return self._gather(self.repetitions, command, position, looks, "verified" if matches else "diverged")

    def _newest_digest(self, seq: int) -> str:
        return "sha256:" + self.index.digest_at(self.index.newest[self.index.edition[seq]]).hex()

    def _expire(self, command: ExpireCommand, position: int) -> Outcome:
        target = record_named(self.index, self._resolve(command.target, "target"))
        limit = self.index.limits.get(self.index.edition[target])
        if limit is None or limit.moment_us > self.parent.now_us:
            raise Malformed(f"{name_of(self.index, target)} has not expired", field="target")
        return self._write(command, position, Expiry, "expired", {"targets": (target,)}, about=target)

    # -- references ---------------------------------------------------------------------------------------------------

    def _resolve(self, text: str, field_: str) -> int:
        try:
            return resolve(self.index, text)
        except LedgerError as error:
            raise error.at(field=field_, ref=text) from error

    def _resolve_support(self, command: RecordCommand) -> list[tuple[int, ...]]:
        """Justifications as exact versions, each once."""
        if not command.because:
            return []
        found: dict[frozenset[int], tuple[int, ...]] = {}
        for refs in command.because:
            premises = tuple(dict.fromkeys([self._premise(ref) for ref in refs]))
            found.setdefault(self._editions(premises), premises)
        return list(found.values())

    def _premise(self, ref: str) -> int:
        named = _entry_number(ref)
        if named is not None and self._is_event(named):
            kind = KIND_NAMES[self.index.kind[named]]
            raise NotAPremise(f"{ref} is a {kind}; only records can be rested on", field="because", ref=ref)
        return self._resolve(ref, "because")

    def _is_event(self, seq: int) -> bool:
        return 0 < seq < len(self.index.kind) and not self.index.is_record(seq)

    def _resolve_superseded(self, command: RecordCommand) -> tuple[int, ...]:
        """One version for each key named."""
        found: dict[int, int] = {}
        for ref in command.supersedes:
            seq = record_named(self.index, self._resolve(ref, "supersedes"))
            key = self.index.key_of[self.index.edition[seq]]
            if key == NONE:
                raise Malformed(f"{ref} has no key, and only keys are superseded; revoke it instead", field="supersedes", ref=ref)
            found.setdefault(key, seq)
        return tuple(found.values())

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
        fell, revived = self._apply(kind, fields)
        request = self._request(command, position, outcome, fell=fell.count, revived=revived.count)
        # An expiry that the ledger notes itself answers nobody.
        entry = self._draft(kind, fields, (request,) if command.sent_digest else (), content)
        return Outcome(outcome, entry.seq, about or entry.seq, fell=fell, revived=revived)

    def _gather(
        self, pending: _Pending, command: SingleCommand, position: int, looks: list[tuple[int, str]], outcome: str
    ) -> Outcome:
        pending.targets += [seq for seq, _ in looks]
        pending.observed += [digest for _, digest in looks]
        pending.requests.append((command, position))
        pending.outcomes.append(Outcome(outcome, 0, looks[0][0]))
        pending.latest = position
        return pending.outcomes[-1]

    def _write_pending(self) -> None:
        """Attempts and repetitions of the whole batch, one entry each, the one added to last comes last."""
        if not self.attempts.requests and not self.repetitions.requests:
            return
        kinds: list[tuple[_Pending, type[Entry]]] = [(self.attempts, Attempt), (self.repetitions, Verification)]
        for pending, kind in sorted(kinds, key=lambda pair: pair[0].latest):
            if pending.requests:
                self._write_gathered(pending, kind)

    def _write_gathered(self, pending: _Pending, kind: type[Entry]) -> None:
        actors = {command.actor or self.command.actor for command, _ in pending.requests}
        moments = {self._occurred_at(command) for command, _ in pending.requests}
        fields: dict[str, Any] = {
            "targets": tuple(pending.targets),
            "observed": tuple(pending.observed),
            "actor": actors.pop() if len(actors) == 1 else self.command.actor,
            "occurred_at_us": min((moment for moment in moments if moment is not None), default=None),
        }
        fell, revived = self._apply(kind, fields)
        requests = [
            self._request(command, position, answer.outcome, answer.about)
            for (command, position), answer in zip(pending.requests, pending.outcomes, strict=True)
        ]
        requests[0] = msgspec.structs.replace(requests[0], fell=fell.count, revived=revived.count)
        entry = self._draft(kind, fields, tuple(requests))
        pending.outcomes[0].fell, pending.outcomes[0].revived = fell, revived
        for outcome in pending.outcomes:
            outcome.entry = entry.seq

    def _apply(self, kind: type[Entry], fields: dict[str, Any]) -> tuple[Effect, Effect]:
        """Apply an entry, its requests aside: they will hold what applying it did."""
        index = self.index
        index.watch()
        index.apply(kind(seq=len(index.kind), **self._common(), **fields))
        fell, revived = index.changes()
        return self._effect(fell), self._effect(revived)

    def _draft(self, kind: type[Entry], fields: dict[str, Any], requests: tuple[Request, ...], content: str | None = None) -> Entry:
        entry = kind(seq=self.first + len(self.drafts), **self._common(), **fields, requests=requests)
        for request in requests:
            if request.idempotency_key is not None:
                self.index.remember(request.idempotency_key, entry.seq)
        self.drafts.append(Draft(entry, content))
        return entry

    def _common(self) -> dict[str, Any]:
        return {"batch": self.first, "recorded_at_us": self.parent.now_us}

    def _effect(self, editions: list[int]) -> Effect:
        if not editions:
            return NO_EFFECT
        return Effect(len(editions), tuple(name_of(self.index, self.index.newest[one]) for one in sorted(editions)[:FIRST_MAX]))

    def _request(
        self, command: SingleCommand, position: int, outcome: str, about: int = 0, fell: int = 0, revived: int = 0
    ) -> Request:
        return Request(
            digest=command.sent_digest,
            outcome=outcome,
            position=position,
            idempotency_key=command.idempotency_key,
            about=about,
            fell=fell,
            revived=revived,
        )

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
            answered[position] if position in answered else self._judge_single(command, position)
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
            fell=Effect(request.fell),
            revived=Effect(request.revived),
            replayed=True,
        )

    def _with_verdicts(self, outcomes: list[Outcome]) -> list[Outcome]:
        reader = Reader(self.index)
        for outcome in outcomes:
            outcome.verdict = reader.verdict_of(outcome.about)
        return outcomes


def _entry_number(text: str) -> int | None:
    """42 of `@42`; None for other references."""
    return int(text[1:]) if text[:1] == "@" and text[1:].isascii() and text[1:].isdigit() else None


def _ids(seqs: Any) -> str:
    return ", ".join(f"@{seq}" for seq in sorted(seqs))
