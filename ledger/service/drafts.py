"""What a batch writes: drafts of entries, applied as they are decided, with what each command did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from ledger.model.command import BatchCommand, Command, RecordCommand, SingleCommand
from ledger.model.entry import NOBODY, WHOLE_BATCH, Attempt, Entry, Request, Verification
from ledger.model.result import FIRST_MAX
from ledger.model.verdict import UNKNOWN, Verdict
from ledger.validity.index import Index
from ledger.validity.verdicts import Reader

# What is made for every command says gc=False here and where else it is made: nothing of it refers to itself, and the
# collector took a fifth of an import's time to find that out.


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An entry to be sealed, with the canonical content that goes beside it."""

    entry: Entry
    content: str | None


class Change(NamedTuple):
    """Editions that fell, or revived: how many, and the first of them by their newest versions."""

    number: int = 0
    first: tuple[int, ...] = ()


NO_CHANGE = Change()
_UNJUDGED = Verdict("", UNKNOWN)


class Outcome(msgspec.Struct, gc=False):
    """What came of one command; the revision is known when the batch is sealed."""

    outcome: str
    entry: int
    about: int  # the version it is about
    stands: Sequence[int] = ()
    fell: Change = NO_CHANGE
    revived: Change = NO_CHANGE
    replayed: bool = False
    verdict: Verdict = _UNJUDGED


class Drafts:
    """The entries of one batch. Looks and attempts gather, and are written when it ends."""

    def __init__(self, index: Index, command: Command, now_us: int) -> None:
        self.index = index
        self.command = command
        self.now_us = now_us
        self.first = len(index.kind)
        self.made: list[Draft] = []
        self.repetitions: _Pending | None = None
        self.attempts: _Pending | None = None

    def write(
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
        if isinstance(command, RecordCommand) and command.valid_until is not UNSET:
            fields["valid_until_us"] = command.valid_until
        entry, fell, revived = self._apply(kind, fields)
        answer = Outcome(outcome, entry.seq, about or entry.seq, fell=fell, revived=revived)
        # An expiry that the ledger notes itself answers nobody.
        if command.sent_digest:
            self._sign(entry, (request_of(command, position, answer),))
        else:
            msgspec.structs.force_setattr(entry, "fell", fell.number)
            msgspec.structs.force_setattr(entry, "fell_first", fell.first)
        self.made.append(Draft(entry, content))
        return answer

    def settle(self, current: int, digest: str) -> None:
        """A repetition that gets an entry of its own settles what earlier looks and attempts of its batch saw."""
        if self.attempts:
            self.attempts.withdraw_contradictions(current)
        if self.repetitions:
            self.repetitions.settle(current, digest)

    def look(
        self, command: SingleCommand, position: int, about: int, looks: list[tuple[int, str]], outcome: str
    ) -> Outcome:
        """Law 2: what a batch only looks at again is one verification."""
        self.repetitions = self.repetitions or _Pending(Verification, self.index)
        if self.attempts:
            for target, digest in looks:
                if self.index.digest_text(target) == digest:
                    self.attempts.withdraw_contradictions(target)
        return self.repetitions.add(command, position, about, looks, outcome)

    def attempt(self, command: RecordCommand, position: int, about: int, outcome: str, contradicts: int = 0) -> Outcome:
        """Law 3: what a batch tried in vain is one attempt."""
        index = self.index
        self.attempts = self.attempts or _Pending(Attempt, index)
        answer = self.attempts.add(command, position, about, [(about, command.digest)], outcome)
        self.attempts.contradict(contradicts)
        if outcome == "withheld":
            answer.stands = Reader(index).standing_against(index.edition[about])
        else:
            answer.stands = [one.seq for one in index.withdrawals[index.edition[about]]]
        return answer

    def finish(self) -> None:
        """Write repetitions and attempts, one entry each, and sign the batch.

        In this order: an attempt after a look contradicts it, and before one that matched it contradicts nothing.
        """
        for pending in (self.repetitions, self.attempts):
            if pending:
                self._write_gathered(pending)
        if isinstance(self.command, BatchCommand):
            self._sign_whole()

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
                request_of(command, position, answer, answer.about, end - start)
                for (command, position), answer, (start, end) in zip(
                    pending.requests, pending.outcomes, pending.spans, strict=True
                )
            ),
        )
        self.made.append(Draft(entry, None))
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
        entry = kind(seq=len(index.kind), batch=self.first, recorded_at_us=self.now_us, **fields)
        index.watch()
        index.apply(entry)
        fell, revived = index.changed()
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

    def _sign_whole(self) -> None:
        """The last entry of a batch remembers the batch as a whole."""
        key = self.command.idempotency_key
        if not self.made or key is None:
            return
        entry = self.made[-1].entry
        whole = Request(digest=self.command.sent_digest, outcome="batch", position=WHOLE_BATCH, idempotency_key=key)
        signed = msgspec.structs.replace(entry, requests=(*entry.requests, whole))
        self.made[-1] = Draft(signed, self.made[-1].content)
        self.index.remember(key, entry.seq)

    def _occurred_at(self, command: SingleCommand) -> int | None:
        return command.occurred_at if command.occurred_at is not None else self.command.occurred_at


class _Pending:
    """An entry that gathers commands of one batch: repetitions and looks, or attempts."""

    def __init__(self, kind: type[Entry], index: Index) -> None:
        self.kind = kind
        self.index = index
        self.targets: list[int] = []
        self.observed: list[str] = []
        self.spans: list[tuple[int, int]] = []  # which targets are whose
        self.requests: list[tuple[SingleCommand | None, int]] = []
        self.outcomes: list[Outcome] = []
        self.contradicts: list[int] = []  # of attempts
        self._seen = set[int]()  # the editions of the targets
        self._contradicted: dict[int, list[int]] = {}  # by edition, where in `contradicts` it stands

    def add(
        self, command: SingleCommand, position: int, about: int, looks: list[tuple[int, str]], outcome: str
    ) -> Outcome:
        """The outcome; its entry is known when it is written."""
        start = len(self.targets)
        self.targets += [seq for seq, _ in looks]
        self._seen.update(self.index.edition[seq] for seq, _ in looks)
        self.observed += [digest for _, digest in looks]
        self.spans.append((start, len(self.targets)))
        self.requests.append((command, position))
        self.outcomes.append(Outcome(outcome, 0, about))
        return self.outcomes[-1]

    def settle(self, current: int, digest: str) -> None:
        """A repetition with an entry of its own comes after these looks: it has the last word on its edition."""
        if self.index.edition[current] in self._seen:
            self.targets.append(current)
            self.observed.append(digest)
            self.spans.append((len(self.targets) - 1, len(self.targets)))
            self.requests.append((None, NOBODY))
            self.outcomes.append(Outcome("settled", 0, current))

    def contradict(self, seq: int) -> None:
        """What was added last says otherwise than a version; 0: than none."""
        if seq:
            self._contradicted.setdefault(self.index.edition[seq], []).append(len(self.contradicts))
        self.contradicts.append(seq)

    def withdraw_contradictions(self, target: int) -> None:
        """A later look matched: what was tried before no longer says otherwise."""
        for place in self._contradicted.pop(self.index.edition[target], ()):
            self.contradicts[place] = 0


def request_of(
    command: SingleCommand | None, position: int, answer: Outcome, about: int = 0, looks: int = 1
) -> Request:
    """What an entry keeps of a command that it answers."""
    fell, revived = answer.fell, answer.revived
    return Request(
        digest=command.sent_digest if command else "",
        outcome=answer.outcome,
        position=position,
        idempotency_key=command.idempotency_key if command else None,
        about=about,
        looks=looks,
        fell=fell.number,
        fell_first=fell.first,
        revived=revived.number,
        revived_first=revived.first,
    )
