"""Group commit: what waits is judged together and committed in one transaction, each batch on its own.

A Neo4j commit costs 2-4 ms whatever it holds, so one committer a ledger collects what came while the last commit was
under way. One caller's refusal does not touch the others. The store compares and sets the head: when another process
was first, the group catches up and is judged anew, with others kept out where the store can, and in smaller parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ledger.clock import Clock
from ledger.errors import HeadMoved, LedgerError, StoreError, Unavailable
from ledger.model.command import BatchCommand, Command, RecordCommand
from ledger.model.entry import EMPTY, Head, Record, Sealed, head_after, seal
from ledger.model.result import BatchResult, Result
from ledger.service.drafts import Outcome
from ledger.service.figures import Figures
from ledger.service.garbage import uncollected
from ledger.service.judge import Judge, Judgement, Remembered
from ledger.service.live import Live
from ledger.service.pacing import GROUP_COMMANDS_MAX, Pace, Queue, WriteLimits
from ledger.service.recall import idempotency_keys, recalled
from ledger.service.rendering import facts_of
from ledger.store.base import NodeState, StateStore, Store
from ledger.validity.index import Index
from ledger.validity.verdicts import Reader

GROUP_CHARS_MAX = 16_000_000
"""Content a commit collects at most: the server holds all of a transaction in its heap."""

SLICE_COMMANDS = 500
"""Commands judged before others get their turn, about 10 ms; and how many must wait to be judged while a commit is
under way: fewer are better judged together when it has ended, with those that come until then."""

UNAVAILABLE_AFTER_S = 20.0
"""How long a write waits for a store that does not answer before its caller is told."""

FIRST_PAUSE_S = 0.05
"""How long about before the first retry; doubled, with jitter, up to a second."""


class Answered(msgspec.Struct, frozen=True, gc=False):
    """What came of the commands of a batch that passed, and the last entry at its end."""

    outcomes: Sequence[Outcome]
    replayed: bool
    upto: int

    def result(self, live: Live) -> BatchResult:
        """What its caller is told, put together when he asks: who imports a million lines wants none of it."""
        revision = live.revision_of(self.upto)
        told = (Result(revision=revision, **facts_of(live.name_of, one)) for one in self.outcomes)
        return BatchResult(revision=revision, results=tuple(told), replayed=self.replayed)


@dataclass(slots=True, eq=False)
class Submission:
    """Batches of one caller, in order; the first refusal ends it, what came before stays."""

    commands: Sequence[Command]
    answers: list[Answered] = field(default_factory=list)
    refusal: LedgerError | None = None
    follows: Submission | None = None  # nothing of this is recorded unless all of that was
    judged: int = 0  # how many of the commands need no judging any more, though their entries may not be durable yet
    stopped: bool = False  # one of its batches was refused, or the store could not take it
    size: int = 0  # commands, those of batches counted
    chars: int = 0  # of their contents
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def settled(self) -> bool:
        return self.refusal is not None or len(self.answers) == len(self.commands)

    @property
    def blocked(self) -> bool:
        """Whether it will not be recorded, for what it follows was not."""
        return self.follows is not None and (self.follows.stopped or self.follows.blocked)

    def begin_again(self) -> None:
        """Judge anew what has no answer yet."""
        self.judged = len(self.answers)
        self.stopped = False


@dataclass(slots=True)
class _Group:
    """What one commit takes: the judged batches of several submissions, sealed, on top of `head`."""

    head: Head
    entries: list[Sealed] = field(default_factory=list)
    states: Sequence[NodeState] | None = None  # when they are known
    answers: list[tuple[Submission, Answered]] = field(default_factory=list)
    refusals: list[tuple[Submission, LedgerError]] = field(default_factory=list)
    remembered: dict[str, Remembered] = field(default_factory=dict)  # by idempotency key; its own commands too
    room: int = GROUP_COMMANDS_MAX
    chars: int = GROUP_CHARS_MAX
    sharing: int = GROUP_COMMANDS_MAX  # how many callers may share it
    callers: set[Submission] = field(default_factory=set)

    @property
    def end(self) -> Head:
        """The last entry there is when this group has landed."""
        return head_after(self.entries[-1]) if self.entries else self.head

    @property
    def submissions(self) -> set[Submission]:
        return {submission for submission, _ in (*self.answers, *self.refusals)}

    @property
    def is_full(self) -> bool:
        return self.room <= 0 or self.chars <= 0


class Committer:
    """The one writer of a ledger in this process.

    While one group commits, the next is judged on top of it. If the first does not land, both are judged anew.
    """

    def __init__(
        self,
        store: Store,
        live: Live,
        clock: Clock,
        landed: Callable[[], Awaitable[None]],
        figures: Figures,
        limits: WriteLimits,
    ) -> None:
        self.store = store
        self.live = live
        self.clock = clock
        self.landed = landed
        self.figures = figures
        self.queue = Queue(live.name, limits)
        self.pace = Pace(limits.commit_target_s, may_take_turns=store.is_server)
        self._waiting: deque[Submission] = deque()
        self._task: asyncio.Task[None] | None = None
        self._enough: asyncio.Future[None] | None = None  # is set when as many wait as are waited for
        self._wanted: Callable[[], bool] = self._a_slice_waits  # tells whether it is to be set
        self._held = False  # whether others may have to wait for us
        self._gathering: _Group | None = None  # being judged
        self._committing: _Group | None = None
        self._under_way: asyncio.Task[None] | None = None  # its commit

    async def submit(self, commands: Sequence[Command]) -> Submission:
        """Judge and commit batches; returns when every one is durable, or the first of them was refused.

        Raises what keeps the store from answering; then none, or only the first of the batches, are recorded.
        """
        return await self.answered(self.enqueue(commands))

    def enqueue(self, commands: Sequence[Command], follows: Submission | None = None) -> Submission:
        """Let batches wait their turn, and nothing of them be recorded unless all of what they follow is.

        Raises Overloaded when too much waits already.
        """
        submission = Submission(commands, follows=follows)
        # What is only judged refused may be judged anew, if its commit does not land.
        in_vain = submission.blocked and follows is not None and follows.done.done()
        if commands and not in_vain:
            submission.size, submission.chars = sum(map(_size, commands)), sum(map(_chars, commands))
            self.queue.admit(submission.size, submission.chars)
            self._waiting.append(submission)
            self.pace.came()
            if self._enough is not None and not self._enough.done() and self._wanted():
                self._enough.set_result(None)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._run())
        else:
            submission.done.set_result(None)
        return submission

    async def answered(self, submission: Submission) -> Submission:
        """Wait until it is durable, or refused. Raises as `submit` does."""
        # A caller who stops waiting does not undo what others wait for in the same commit.
        await asyncio.shield(submission.done)
        return submission

    async def drain(self) -> None:
        """Wait until everything submitted is answered."""
        while self._task is not None and not self._task.done():
            with contextlib.suppress(Exception):
                await asyncio.shield(self._task)

    async def _run(self) -> None:
        while self._waiting:
            try:
                await self._commit_waiting()
            except Exception as error:  # nobody waits for ever for what nobody foresaw
                if self._under_way is not None:  # nor is told before it is over
                    await asyncio.wait([self._under_way])
                    self._under_way = None
                self.live.void()
                self._gathering = self._committing = None
                self._fail(set(self._waiting), error)
            if self._held:
                self._held = False
                with contextlib.suppress(StoreError):  # the next append begins anew in any case
                    await self.store.release()

    async def _commit_waiting(self) -> None:
        while self._waiting:
            commit = self._under_way
            full = self._gathering is not None and self._gathering.is_full
            if not full and self._so_many_wait(1 if commit is None else SLICE_COMMANDS):
                if commit is None and self._gathering is None:
                    await self._until_enough_are_back()
                await self._judge_slice()
                await asyncio.sleep(0)
            elif commit is not None and not commit.done() and not full:
                await self._until(self._a_slice_waits, commit)
            elif commit is not None:
                if not commit.done() and self._gathering is not None:
                    self._prepare(self._gathering)
                self._under_way = None
                await self._settle(commit)
            elif self._gathering is not None:
                self._prepare(self._gathering)  # before more is judged on top of it
                self._committing, self._gathering = self._gathering, None
                self._under_way = asyncio.create_task(self._commit(self._committing))

    async def _until_enough_are_back(self) -> None:
        """Until as many wait as shall share the next commit, but not long."""
        enough = self.pace.sharing(len(self._waiting))
        if len(self._waiting) < enough:
            await self._until(lambda: len(self._waiting) >= enough, timeout=self.pace.patience_s)

    async def _until(
        self, wanted: Callable[[], bool], *others: asyncio.Future[None], timeout: float | None = None
    ) -> None:
        """Until enough wait, or one of the others is done, or the time is over."""
        self._enough, self._wanted = asyncio.get_running_loop().create_future(), wanted
        await asyncio.wait((self._enough, *others), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        self._enough = None

    def _a_slice_waits(self) -> bool:
        return self._so_many_wait(SLICE_COMMANDS)

    def _so_many_wait(self, number: int) -> bool:
        """Whether so many commands wait to be judged."""
        for submission in self._waiting:
            if submission.blocked:
                continue
            number -= len(submission.commands) - submission.judged
            if number <= 0:
                return True
        return False

    # -- judging ------------------------------------------------------------------------------------------------------

    async def _judge_slice(self) -> None:
        """Judge the next of those who wait, and gather what comes of it for the next commit."""
        if self._gathering is None:
            try:
                if self._committing is None and self.live.behind:
                    await self.live.catch_up()
            except Exception as error:
                self._fail(set(self._waiting), error)
                return
            sharing = self.pace.begun(len(self._waiting))
            self._gathering = _Group(self.live.ahead, room=self.pace.room, sharing=sharing)
        group = self._gathering
        taken = self._take(group)
        try:
            await self._recall(group, taken)
            self._judge(group, taken)
        except Exception as error:
            for submission, commands in taken:
                self._stop(group, submission, submission.judged - len(commands), error)

    def _stop(self, group: _Group, submission: Submission, judged: int, error: Exception) -> None:
        """It cannot be judged any further. Its caller is told when what of it is on its way has landed, not before."""
        if judged == len(submission.answers):
            self._fail({submission}, error)
        elif isinstance(error, LedgerError):
            self._refuse(group, submission, error)
        else:
            raise error

    def _take(self, group: _Group) -> list[tuple[Submission, Sequence[Command]]]:
        """The next batches of those who wait: a slice, up to what the group has room for."""
        taken: list[tuple[Submission, Sequence[Command]]] = []
        room = SLICE_COMMANDS
        for submission in self._waiting:
            if submission.blocked or submission.judged == len(submission.commands):
                continue
            if submission not in group.callers and len(group.callers) >= group.sharing:
                group.room = 0
                break
            commands: list[Command] = []
            for command in submission.commands[submission.judged : submission.judged + room]:
                size = _size(command)
                if group.callers and size > group.room:
                    group.room = 0  # it opens the next group
                    break
                group.callers.add(submission)
                commands.append(command)
                group.room -= size
                group.chars -= _chars(command)
                room -= size
                if room <= 0 or group.is_full:
                    break
            if commands:
                submission.judged += len(commands)
                taken.append((submission, commands))
            if room <= 0 or group.is_full:
                break
        return taken

    def _judge(self, group: _Group, taken: list[tuple[Submission, Sequence[Command]]]) -> None:
        """Apply the laws on top of what was judged before, durable or not."""
        with uncollected(), self.live.judging(self.clock()) as index:
            if self.live.ahead != group.end:
                # Another process wrote. The store will refuse the group, and all of it is judged anew.
                group.room = 0
                for submission, commands in taken:
                    submission.judged -= len(commands)
                return
            part = _Group(group.end, remembered=group.remembered)
            judge = Judge(index, index.clock_us, part.remembered)
            for noted in judge.note_expiries():
                self._seal(part, noted)
            for submission, commands in taken:
                self._judge_submission(judge, part, submission, commands)
            self.live.put_ahead(part.entries)
        group.entries += part.entries
        group.answers += part.answers
        group.refusals += part.refusals

    def _judge_submission(
        self, judge: Judge, group: _Group, submission: Submission, commands: Sequence[Command]
    ) -> None:
        try:
            for judgement in judge.judge_each(commands):
                upto = self._seal(group, judgement)
                group.answers.append((submission, Answered(judgement.outcomes, judgement.replayed, upto)))
        except LedgerError as error:
            self._refuse(group, submission, error)

    def _refuse(self, group: _Group, submission: Submission, error: LedgerError) -> None:
        """It ends here; its caller is told when this group has landed."""
        group.refusals.append((submission, error))
        submission.judged = len(submission.commands)
        submission.stopped = True

    def _seal(self, group: _Group, judgement: Judgement) -> int:
        """Chain the entries of a batch; the last entry there is then."""
        entries = group.entries
        seq, chain = (entries[-1].entry.seq, entries[-1].hash) if entries else (group.head.seq, group.head.hash)
        for draft in judgement.drafts:
            sealed = seal(draft.entry, chain, draft.content)
            entries.append(sealed)
            seq, chain = draft.entry.seq, sealed.hash
        return seq

    async def _recall(self, group: _Group, taken: list[tuple[Submission, Sequence[Command]]]) -> None:
        """Find what the log, or the group under way, remembers of the idempotency keys that come now."""
        keys = {key for _, commands in taken for command in commands for key in idempotency_keys(command)}
        if self._committing is not None and self._committing.end == group.head:  # else it is void
            under_way = self._committing.remembered
            group.remembered.update((key, under_way[key]) for key in keys & under_way.keys())
        group.remembered |= await recalled(self.store, self.live, keys - group.remembered.keys())

    # -- committing ---------------------------------------------------------------------------------------------------

    def _prepare(self, group: _Group) -> None:
        """Let the store make ready for what is judged, perhaps while it still commits the last."""
        if group.entries and group.states is None:
            with contextlib.suppress(HeadMoved):  # its own commit will say so
                group.states = self._states_of(group)
                self.store.prepare(self.live.name, group.head, group.entries, group.states)

    def _states_of(self, group: _Group) -> Sequence[NodeState]:
        """The states its new records are born with, where the store shows them.

        Raises HeadMoved when it is void by now, for another process wrote.
        """
        if not isinstance(self.store, StateStore):
            return ()
        if not self.live.has_ahead(group.end):
            raise HeadMoved(f"{self.live.name!r} is no longer at {group.head.seq}")
        with self.live.judging(self.clock()) as index:
            return _states_of(index, group.entries)

    async def _commit(self, group: _Group) -> None:
        if not group.entries:
            await self._confirm(group.head)
            return
        if group.states is None:
            group.states = self._states_of(group)
        began_s = time.perf_counter()
        await self._append(group.head, group)
        seconds = time.perf_counter() - began_s
        outcomes = [outcome for _, answer in group.answers for outcome in answer.outcomes]
        self.pace.committed(len(outcomes), seconds)
        self.figures.note_commit(len(group.entries), seconds, outcomes)

    async def _confirm(self, head: Head) -> None:
        """What writes nothing compares no head: where others are heard of late, a refusal may be of yesterday.

        Raises HeadMoved.
        """
        if self.store.poll_s is not None and (await self.store.head(self.live.name) or EMPTY) != head:
            raise HeadMoved(f"{self.live.name!r} is no longer at {head.seq}")

    async def _settle(self, commit: asyncio.Task[None]) -> None:
        """Wait for a group to become durable and answer those it holds; or judge it anew, or tell them why not."""
        group, self._committing = self._committing, None
        assert group is not None
        try:
            try:
                await commit
                self.live.take_in(group.entries)
            except HeadMoved:
                self.pace.was_beaten()
                self._void(group)
                self._held = True
                await self.store.hold()
                await self.live.catch_up()
                return
        except Exception as error:
            self._void(group)
            self._fail(group.submissions, error)
            return
        for submission, answer in group.answers:
            submission.answers.append(answer)
        for submission, refusal in group.refusals:
            submission.refusal = refusal
        settled = [submission for submission in group.submissions if submission.settled]
        for submission in settled:
            self._leave(submission)
        self.pace.answered(len(settled), len(self._waiting))
        if group.entries:
            await self.landed()

    def _void(self, group: _Group) -> None:
        """It did not land, so neither will what was judged on top of it."""
        self.live.void()
        for submission in group.submissions | (self._gathering.submissions if self._gathering else set()):
            submission.begin_again()
        self._gathering = None

    def _fail(self, submissions: set[Submission], error: Exception) -> None:
        for submission in submissions:
            submission.stopped = True
            self._leave(submission, error)

    def _leave(self, submission: Submission, error: Exception | None = None) -> None:
        """Its caller need not wait any more; nor need those for whom that was the end."""
        with contextlib.suppress(ValueError):
            self._waiting.remove(submission)
            self.queue.release(submission.size, submission.chars)
        if submission.done.done():
            return  # the rest of it failed before this was answered
        if error is None:
            submission.done.set_result(None)
        else:
            submission.done.set_exception(error)
        submission.follows = None
        if submission.stopped:
            for other in [other for other in self._waiting if other.follows is submission]:
                other.stopped = True
                self._leave(other)

    async def _append(self, head: Head, group: _Group) -> None:
        """Commit. A lost acknowledgement is resolved by reading the hash at the expected place."""
        began_s = time.monotonic()
        assert group.states is not None
        append = partial(self.store.append, self.live.name, head, group.entries, group.states)
        try:
            return await append()
        except Unavailable:
            pass  # it may have landed all the same
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            stop=stop_after_delay(max(UNAVAILABLE_AFTER_S - (time.monotonic() - began_s), 0.0)),
            wait=wait_random_exponential(multiplier=FIRST_PAUSE_S, max=1.0),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                if await self._has_landed(head, group.entries):
                    return None
                try:
                    return await append()
                except HeadMoved:
                    # It may be our own first try that moved it: the server was still busy with that when we looked.
                    if await self._has_landed(head, group.entries):
                        return None
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


def _size(command: Command) -> int:
    return len(command.commands) if isinstance(command, BatchCommand) else 1


def _chars(command: Command) -> int:
    """How much content a command brings."""
    if isinstance(command, RecordCommand):
        return len(command.content_form or "")
    return sum(map(_chars, command.commands)) if isinstance(command, BatchCommand) else 0
