"""Group commit: what waits is judged together and committed in one transaction, each batch on its own.

A Neo4j commit costs 2-4 ms whatever it holds, so one committer a ledger collects what came while the last commit was
under way. One caller's refusal does not touch the others. The store compares and sets the head: when another process
was first, the group catches up and is judged anew.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.clock import Clock
from ledger.errors import HeadMoved, LedgerError, Unavailable
from ledger.model.command import BatchCommand, Command, ExpireCommand
from ledger.model.entry import EMPTY, Entry, Head, Record, Sealed, revision_token, seal
from ledger.model.result import NO_EFFECT, BatchResult, Effect, Result
from ledger.service.drafts import Change
from ledger.service.judge import Judge, Judgement, Remembered
from ledger.service.live import Live
from ledger.store.base import NodeState, Store
from ledger.validity.index import Index
from ledger.validity.resolve import name_of
from ledger.validity.verdicts import Reader

GROUP_COMMANDS_MAX = 1_000
"""Commands a commit collects before it stops taking more: 5,000 were no faster on Neo4j. One batch is never split."""

GROUP_CHARS_MAX = 16_000_000
"""Content a commit collects at most: the server holds all of a transaction in its heap."""

UNAVAILABLE_AFTER_S = 20.0
"""How long a write waits for a store that does not answer before its caller is told."""


FIRST_PAUSE_S = 0.05
"""How long about before the first retry; doubled, with jitter, up to a second."""


@dataclass(slots=True)
class Submission:
    """Batches of one caller, in order; the first refusal ends it, what came before stays."""

    commands: Sequence[Command]
    answers: list[BatchResult] = field(default_factory=list)
    refusal: LedgerError | None = None
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def settled(self) -> bool:
        return self.refusal is not None or len(self.answers) == len(self.commands)


@dataclass(slots=True)
class _Group:
    """What one commit takes: the judged batches of several submissions, sealed."""

    entries: list[Sealed] = field(default_factory=list)
    states: list[NodeState] = field(default_factory=list)
    answers: list[tuple[Submission, BatchResult]] = field(default_factory=list)
    refusals: list[tuple[Submission, LedgerError]] = field(default_factory=list)


class Committer:
    """The one writer of a ledger in this process."""

    def __init__(self, store: Store, live: Live, clock: Clock, landed: Callable[[], Awaitable[None]]) -> None:
        self.store = store
        self.live = live
        self.clock = clock
        self.landed = landed
        self._waiting: deque[Submission] = deque()
        self._task: asyncio.Task[None] | None = None
        self._noting: asyncio.Future[None] | None = None

    async def note(self) -> None:
        """Write down what has expired, if nobody else does. Raises StoreError."""
        if self._noting is None:
            self._noting = asyncio.get_running_loop().create_future()
        self._start()
        await asyncio.shield(self._noting)

    async def submit(self, commands: Sequence[Command]) -> Submission:
        """Judge and commit batches; returns when every one is durable, or the first of them was refused.

        Raises what keeps the store from answering; then none, or only the first of the batches, are recorded.
        """
        submission = Submission(commands)
        if not commands:
            return submission
        self._waiting.append(submission)
        self._start()
        # A caller who stops waiting does not undo what others wait for in the same commit.
        await asyncio.shield(submission.done)
        return submission

    async def drain(self) -> None:
        """Wait until everything submitted is answered."""
        while self._task is not None and not self._task.done():
            with contextlib.suppress(Exception):
                await asyncio.shield(self._task)

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._waiting or self._noting:
            taken = self._take()
            noting, self._noting = self._noting, None
            try:
                await self._commit(taken)
                if noting:
                    noting.set_result(None)
            except Exception as error:
                if noting:
                    noting.set_exception(error)
                for submission, _ in taken:
                    if not submission.done.done():
                        submission.done.set_exception(error)
                    self._leave(submission)
            for submission, _ in taken:
                if submission.settled:
                    self._leave(submission)
                    if not submission.done.done():
                        submission.done.set_result(None)

    def _leave(self, submission: Submission) -> None:
        with contextlib.suppress(ValueError):
            self._waiting.remove(submission)

    def _take(self) -> list[tuple[Submission, Sequence[Command]]]:
        """The next batches of those who wait, up to a commit's worth."""
        taken: list[tuple[Submission, Sequence[Command]]] = []
        room, chars = GROUP_COMMANDS_MAX, GROUP_CHARS_MAX
        for submission in self._waiting:
            commands: list[Command] = []
            for command in submission.commands[len(submission.answers) :]:
                size = len(command.commands) if isinstance(command, BatchCommand) else 1
                if (size > room or chars <= 0) and (taken or commands):
                    room = 0
                    break
                commands.append(command)
                room -= size
                chars -= _chars(command)
                if room <= 0:
                    break
            if commands:
                taken.append((submission, commands))
            if room <= 0:
                break
        return taken

    async def _commit(self, taken: list[tuple[Submission, Sequence[Command]]]) -> None:
        while True:
            if self.live.behind:
                await self.live.catch_up()
            remembered = await self._remembered(taken)
            head, group = self._judge(taken, remembered)
            try:
                if group.entries:
                    await self._append(head, group)
            except HeadMoved:
                await self.live.catch_up()
                continue
            break
        self.live.take_in(group.entries)
        for submission, answer in group.answers:
            submission.answers.append(answer)
        for submission, refusal in group.refusals:
            submission.refusal = refusal
        if group.entries:
            await self.landed()

    def _judge(
        self, taken: list[tuple[Submission, Sequence[Command]]], remembered: dict[str, Remembered]
    ) -> tuple[Head, _Group]:
        """Apply the laws on top of the head, then undo: the index shows only what is durable."""
        with self.live.lock:
            index = self.live.index
            now_us = max(self.clock(), index.clock_us)
            index.advance(now_us)
            head, group = index.head, _Group()
            savepoint = index.savepoint()
            try:
                judge = Judge(index, now_us, remembered)
                for edition in index.retract_expiries():
                    expire = ExpireCommand.model_construct(op="expire", target=f"@{index.newest[edition]}")
                    self._seal(group, head, judge.judge(expire))
                for submission, commands in taken:
                    self._judge_submission(judge, group, head, submission, commands)
                if self.store.shows_states:
                    group.states = _states_of(index, group.entries)
            finally:
                index.rollback(savepoint)
                index.release()
        return head, group

    def _judge_submission(
        self, judge: Judge, group: _Group, head: Head, submission: Submission, commands: Sequence[Command]
    ) -> None:
        for command in commands:
            try:
                judgement = judge.judge(command)
            except LedgerError as error:
                group.refusals.append((submission, error))
                return
            end = self._seal(group, head, judgement)
            group.answers.append((submission, self._answer(judge, judgement, end)))

    def _seal(self, group: _Group, head: Head, judgement: Judgement) -> str:
        """Chain the entries of a batch; the revision at its end."""
        chain = group.entries[-1].hash if group.entries else head.hash
        for entry, content in judgement.drafts:
            sealed = seal(entry, chain, content)
            group.entries.append(sealed)
            chain = sealed.hash
        return revision_token(self.live.name, head.seq + len(group.entries), chain)

    def _answer(self, judge: Judge, judgement: Judgement, revision: str) -> BatchResult:
        results = tuple(
            Result(
                outcome=one.outcome,
                entry=f"@{one.entry}",
                ref=name_of(judge.index, one.about),
                verdict=one.verdict,
                revision=revision,
                replayed=one.replayed,
                stands=tuple(f"@{seq}" for seq in one.stands),
                fell=_effect(judge.index, one.fell),
                revived=_effect(judge.index, one.revived),
            )
            for one in judgement.outcomes
        )
        return BatchResult(revision=revision, results=results, replayed=judgement.replayed)

    async def _remembered(self, taken: list[tuple[Submission, Sequence[Command]]]) -> dict[str, Remembered]:
        """What the log remembers of the idempotency keys that come now."""
        known = self.live.index.requests
        wanted = {
            key: known[key]
            for _, commands in taken
            for command in commands
            for key in _idempotency_keys(command)
            if key in known
        }
        found = {}
        for key, seq in wanted.items():
            batch = await self._batch_of(seq)
            entry = batch[seq - batch[0].seq]
            request = next(request for request in entry.requests if request.idempotency_key == key)
            found[key] = Remembered(seq, request, batch)
        return found

    async def _batch_of(self, seq: int) -> list[Entry]:
        """The entries of a batch, up to the one given, which may be any of it."""
        (sealed,) = await self.store.read(self.live.name, seq - 1, 1)
        if sealed.entry.batch == seq:
            return [sealed.entry]
        first = sealed.entry.batch
        return [one.entry for one in await self.store.read(self.live.name, first - 1, seq - first + 1)]

    async def _append(self, head: Head, group: _Group) -> None:
        """Commit. A lost acknowledgement is resolved by reading the hash at the expected place."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(UNAVAILABLE_AFTER_S),
            wait=wait_random_exponential(multiplier=FIRST_PAUSE_S, max=1.0),
            reraise=True,
        )
        unsure = False
        async for attempt in retrying:
            with attempt:
                if unsure and await self._has_landed(head, group.entries):
                    return
                try:
                    await self.store.append(self.live.name, head, group.entries, group.states)
                except HeadMoved:
                    # It may be our own first try that moved it: the server was still busy with that when we looked.
                    if unsure and await self._has_landed(head, group.entries):
                        return
                    raise
                except Unavailable:
                    unsure = True
                    raise

    async def _has_landed(self, head: Head, entries: Sequence[Sealed]) -> bool:
        """Whether our commit went through; raises HeadMoved when another's did instead."""
        now = await self.store.head(self.live.name) or EMPTY
        if now.seq == head.seq:
            return False
        first = await self.store.read(self.live.name, head.seq, 1)
        if first and first[0].hash == entries[0].hash:
            return True
        raise HeadMoved(f"{self.live.name!r} moved on from {head.seq} while our commit was in doubt")


def _states_of(index: Index, entries: Sequence[Sealed]) -> list[NodeState]:
    """The states new records are born with."""
    reader = Reader(index)
    return [NodeState(one.entry.seq, *reader.state(one.entry.seq)) for one in entries if isinstance(one.entry, Record)]


def _effect(index: Index, change: Change) -> Effect:
    return Effect(change.number, tuple(name_of(index, seq) for seq in change.first)) if change.number else NO_EFFECT


def _chars(command: Command) -> int:
    """How much content a command brings."""
    if isinstance(command, BatchCommand):
        return sum(map(_chars, command.commands))
    return len(getattr(command, "content_form", None) or "")


def _idempotency_keys(command: Command) -> list[str]:
    own = [command.idempotency_key] if command.idempotency_key is not None else []
    if isinstance(command, BatchCommand):
        own += [one.idempotency_key for one in command.commands if one.idempotency_key is not None]
    return own
