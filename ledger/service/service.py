"""One ledger, whole: the reads, the writes, and what keeps them apart."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec.structs import replace

from ledger.clock import SECOND, Clock, format_moment, system_clock
from ledger.errors import Behind, Corrupt, LedgerClosed, Malformed, NoSuchLedger
from ledger.model.bounds import check_listed, check_names, check_walk
from ledger.model.change import CHANGE_FIRST_MAX, Change
from ledger.model.entry import EMPTY, Entry, Event, Head, Sealed, head_after, revision_token
from ledger.model.impact import IMPACT_NAMES, Impact
from ledger.model.listing import Wanted
from ledger.model.reference import check_ledger, check_tag, references_in
from ledger.model.result import BatchResult
from ledger.model.tag import Tag
from ledger.model.verdict import UNKNOWN, Report, Verdict
from ledger.model.view import (
    GRAPH_NODES_MAX,
    INTERVALS_MAX,
    AsOf,
    AuditProgress,
    AuditReport,
    Edge,
    EditionHistories,
    EntryView,
    Explanation,
    GraphSlice,
    History,
    LedgerComparison,
    LedgerDiff,
    NamedRevision,
    Node,
    PathStep,
    Remedy,
    Status,
    Tagged,
)
from ledger.model.withdrawal import WithdrawalPlan, Withdrawing, Withdrawn
from ledger.service.answers import Answer, answer, answer_of
from ledger.service.audit import audit
from ledger.service.browsing import acts_due, entry_named, explained, kinds_counted, states_counted
from ledger.service.checkpoints import Checkpoints
from ledger.service.comparing import (
    as_of,
    edition_histories,
    listed,
    shown_comparison,
    shown_difference,
    standings,
    turned,
)
from ledger.service.expiry import ExpiryNotes
from ledger.service.feed import Feed
from ledger.service.figures import Figures
from ledger.service.finding import find
from ledger.service.follower import MAX_LAG_S, REACH_S, Follower
from ledger.service.live import Live
from ledger.service.mirror import Mirror
from ledger.service.moments import names_revision, past
from ledger.service.pacing import UNLIMITED, WriteLimits
from ledger.service.rendering import id_of, node_of, verdict_of, view_of
from ledger.service.tags import Tags
from ledger.store.base import PAGE_ENTRIES, StateStore, Store
from ledger.validity.comparison import Standing
from ledger.validity.difference import difference
from ledger.validity.graph import entries_about, walk
from ledger.validity.lookup import KIND_NAMES
from ledger.validity.past import Past
from ledger.validity.resolve import name_of, resolve
from ledger.validity.verdicts import Reader

if TYPE_CHECKING:  # only writing needs the models of commands, and to build them takes longer than a whole check
    from ledger.model.command import Command
    from ledger.service.committer import Committer, Submission

EVERYTHING = Wanted()

AGE_S_MAX = 1e12
"""Older than anything; a larger number is this one."""


class Seen(NamedTuple):
    """An entry as the log keeps it, and as it is shown."""

    entry: Entry
    view: EntryView
    content_bytes: int


async def require_ledger(store: Store, name: str) -> None:
    """Raises NoSuchLedger, with the names there are, if nobody has written to this one."""
    if await store.head(name) is None:
        known = await store.ledgers()
        hint = f"; here are: {', '.join(known)}" if known else "; nothing has been written here yet"
        raise NoSuchLedger(f"there is no ledger {name!r}{hint}", ledger=name)


class LedgerService:
    """A ledger in a store, as one process knows it. `open` before use, `close` after; the store is opened by its owner.

    With `note_expiries` what has expired is written down soon after the moment; otherwise with the next write.

    Reads answer from the index, which follows the log; contents come from the store. Every answer names its revision.
    """

    def __init__(
        self,
        store: Store,
        name: str = "main",
        clock: Clock = system_clock,
        *,
        max_lag_s: float = MAX_LAG_S,
        reach_s: float = REACH_S,
        note_expiries: bool = False,
        limits: WriteLimits = UNLIMITED,
    ) -> None:
        self.store = store
        self.name = check_ledger(name)
        self.clock = clock
        self.live = Live(store, name)
        self.mirror = (
            Mirror(store, self.live, clock, holder=f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
            if isinstance(store, StateStore)
            else None
        )
        self.tagged = Tags(store, name)
        self.follower = Follower(self.live, self.tagged, self._landed, max_lag_s, reach_s)
        self.feed = Feed(self.live, self.follower)
        self._notes = ExpiryNotes(self.live, clock, self._note_expiries) if note_expiries else None
        self.figures = Figures()
        self.limits = limits
        self._checkpoints = Checkpoints.of(store, name)
        self._saving: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self, *, create: bool = True, progress: Callable[[int], None] | None = None) -> None:
        """Follow the log to its end. Raises StoreError; NoSuchLedger if there is none and not `create`."""
        if not create:
            await require_ledger(self.store, self.name)
        known = await self._checkpoints.load(self.store) if self._checkpoints is not None else None
        if known is not None:
            self.live.begin_with(*known)
            if progress is not None:
                progress(self.live.head.seq)
        await self.live.catch_up(progress)
        self._save_if_due()
        if self.mirror is not None:
            self.live.index.dirty = {}
            await self.mirror.start()
        self.follower.start()
        if self._notes is not None:
            self._notes.start()

    @property
    def waiting(self) -> int:
        """Commands that wait to be committed."""
        return self.committer.queue.commands if "committer" in self.__dict__ else 0

    async def drain(self) -> None:
        """Wait until every write is answered."""
        if "committer" in self.__dict__:
            await self.committer.drain()

    async def close(self) -> None:
        """Take no more writes, answer those that wait, and write the states that are due. The store stays open."""
        self._closed = True
        self.feed.close()
        if self._notes is not None:
            await self._notes.stop()
        await self.drain()
        await self.follower.stop()
        if self.mirror is not None:
            await self.mirror.stop()
        self._save_if_due()
        if self._saving is not None:
            await self._saving

    async def _landed(self) -> None:
        if self.mirror is not None:
            self.mirror.wake()
        self._save_if_due()

    def _save_if_due(self) -> None:
        """Let a checkpoint be written beside everything else, if the log has outgrown the last."""
        checkpoints = self._checkpoints
        if checkpoints is None or not checkpoints.is_due(self.live.head.seq):
            return
        if self._saving is None or self._saving.done():
            self._saving = asyncio.create_task(checkpoints.save(self.live))

    # -- writing ------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def committer(self) -> Committer:
        """The one writer of this ledger in this process."""
        from ledger.service.committer import Committer

        return Committer(self.store, self.live, self.clock, self._landed, self.figures, self.limits)

    async def apply(self, command: Mapping[str, Any] | Command) -> BatchResult:
        """Judge and commit one batch (a single command is one). Raises Refused, StoreError, Overloaded."""
        from ledger.model.command import parse_command

        parsed = parse_command(command) if isinstance(command, Mapping) else command
        submission = await self.submit([parsed])
        if submission.refusal is not None:
            raise submission.refusal
        return submission.answers[0].result(self.live)

    async def submit(self, commands: Sequence[Command]) -> Submission:
        """Batches of one caller, as `Committer.submit`. Raises Overloaded; Unavailable when it was closed meanwhile."""
        return await self.committer.answered(self.enqueue(commands))

    def enqueue(self, commands: Sequence[Command], follows: Submission | None = None) -> Submission:
        """The same, to be waited for later: as `Committer.enqueue`."""
        if self._closed:
            raise LedgerClosed(f"{self.name!r} has been closed here; nothing was recorded", ledger=self.name)
        return self.committer.enqueue(commands, follows)

    async def _note_expiries(self) -> None:
        """Before anything else the committer notes what has expired; this batch records nothing besides."""
        from ledger.model.command import BatchCommand

        await self.committer.submit([BatchCommand(commands=[])])

    # -- reading ------------------------------------------------------------------------------------------------------

    @property
    def lag_s(self) -> float:
        """Seconds since all that the store held was known here; 0 for a store that each read looks at itself."""
        return self.follower.lag_s

    async def reach(self, token: str | None) -> None:
        """Wait until this process knows of a revision, before a read that must not be older (law 9).

        Raises Malformed, ForeignRevision; Behind when it is not heard of in time.
        """
        if token is not None:
            await self.follower.reach(token)

    def check_now(
        self,
        refs: Sequence[str],
        max_age_s: float | None = None,
        at_least: str | None = None,
        at: str | None = None,
    ) -> Report | None:
        """The check without waiting, from any thread; None if the store must be asked first."""
        if not self.follower.is_current() or (at_least is not None and not self.follower.knows(at_least)):
            return None
        if at is not None and names_revision(at) and not self.follower.knows(at, "at"):
            return None
        return self._judged(references_in(refs), max_age_s, at)

    async def check(
        self,
        refs: Sequence[str],
        max_age_s: float | None = None,
        *,
        at: str | None = None,
        at_least: str | None = None,
        full: bool = False,
    ) -> Report:
        """A verdict for each reference, in order. A reference that cannot be resolved is unknown, never an error.

        As of revision `at_least` or later; with `full`, of all that the store holds when asked; as it was `at` a
        revision or a moment (RFC 3339). When this process cannot know that in time, or has not heard from the store
        for too long, all are unknown (`behind`). Raises Malformed and ForeignRevision for `at_least` and `at`,
        StoreError when the store can tell nothing for good.
        """
        refs = references_in(refs)
        try:
            await self.reach(at_least)
            if full:
                await self.follower.hear()
            await self._ready(at)
        except Behind:
            return self._judged(refs, max_age_s, behind=True)
        return self._judged(refs, max_age_s, at)

    def answer_now(
        self, refs: Sequence[str], max_age_s: float | None = None, at_least: str | None = None
    ) -> Answer | None:
        """`check_now` as JSON, put together from what was said before where that still holds."""
        if max_age_s is not None:
            report = self.check_now(refs, max_age_s, at_least)
            return None if report is None else answer_of(report)
        if not self.follower.is_current() or (at_least is not None and not self.follower.knows(at_least)):
            return None
        with self.live.durable:
            return answer(self._reader(), self.live.revision, refs)

    async def answer(
        self,
        refs: Sequence[str],
        max_age_s: float | None = None,
        *,
        at: str | None = None,
        at_least: str | None = None,
        full: bool = False,
    ) -> Answer:
        """`check` as JSON. Raises as it does."""
        if at is None and not full and (found := self.answer_now(refs, max_age_s, at_least)) is not None:
            return found
        return answer_of(await self.check(refs, max_age_s, at=at, at_least=at_least, full=full))

    def _judged(
        self, refs: list[str], max_age_s: float | None, at: str | None = None, *, behind: bool = False
    ) -> Report:
        with self.live.durable:
            reader = self._reader(max_age_s, at)
            found = tuple(Verdict(str(ref), UNKNOWN, "behind") for ref in refs) if behind else reader.check(refs)
            return Report(self.live.revision_of(reader.index.upto), reader.index.clock_us, refs, found)

    # What follows answers as of now, or `at` a revision or a moment (RFC 3339) as it would have then. All of it may
    # raise Malformed, ForeignRevision for `at`; Behind; StoreError.

    async def revision_at(self, at: str | None = None) -> str:
        """The revision that a read answers for."""
        await self._ready(at)
        with self.reading(at=at) as reader:
            return self.live.revision_of(reader.index.upto)

    async def why(self, ref: str, max_age_s: float | None = None, *, at: str | None = None) -> Explanation:
        """The verdict, and the path from the root cause to the entry. Raises NotFound, Ambiguous, Malformed."""
        await self._ready(at)
        with self.reading(max_age_s, at) as reader:
            verdict, steps = explained(reader, ref)
            revision, clock_us = self.live.revision_of(reader.index.upto), reader.index.clock_us
        views = {view.seq: view for view in await self._views([step.seq for step in steps], at=at)}
        path = tuple(PathStep(views[step.seq], step.reason) for step in steps)
        return Explanation(revision, format_moment(clock_us), verdict, path)

    async def entry(self, ref: str, *, at: str | None = None) -> EntryView:
        """The entry a reference names; `@42` names an event itself. Raises NotFound, Ambiguous, Malformed."""
        await self._ready(at)
        with self.reading(at=at) as reader:
            seq = entry_named(reader.index, ref)
        return (await self._views([seq], at=at))[0]

    async def entries(
        self,
        wanted: Wanted = EVERYTHING,
        *,
        after: int = 0,
        limit: int = 100,
        content: bool = True,
        at: str | None = None,
    ) -> list[EntryView]:
        """Entries in the order of the log, after entry `after`."""
        seqs = await self.find(wanted, after=after, limit=limit, at=at)
        pages = (seqs[start : start + PAGE_ENTRIES] for start in range(0, len(seqs), PAGE_ENTRIES))
        return [view for page in pages for view in await self._views(page, content=content, at=at)]

    async def find(
        self,
        wanted: Wanted,
        *,
        after: int | None = None,
        limit: int,
        newest_first: bool = False,
        at: str | None = None,
    ) -> list[int]:
        """Entries by seq, as `ledger.service.finding.find` does."""
        await self._ready(at)
        read = functools.partial(self._reader, at=at)
        return await find(self.store, self.live, read, wanted, after=after, limit=limit, newest_first=newest_first)

    async def seen(self, seqs: Sequence[int], *, content: bool = True, at: str | None = None) -> list[Seen]:
        """These entries, in the order asked, with their contents if wanted; numbers that do not exist are left out."""
        picked = await self.store.pick(self.name, seqs, content=content)
        with self.reading(at=at) as reader:
            return [
                Seen(one.entry, view_of(reader.index, one, verdict_of(reader, one.entry.seq)), len(one.content or ""))
                for one in picked
            ]

    async def head_at(self, at: str) -> Head:
        """The last entry of a past that this process knows, with its full hash."""
        with self.reading(at=at) as reader:
            upto = reader.index.upto
        return head_after((await self.store.pick(self.name, [upto]))[0]) if upto else EMPTY

    @contextlib.contextmanager
    def reading(self, max_age_s: float | None = None, at: str | None = None) -> Iterator[Reader]:
        """One state to look at: nothing changes meanwhile, so nothing may be waited for."""
        with self.live.durable:
            yield self._reader(max_age_s, at)

    async def editions(
        self, ref: str, *, limit: int = INTERVALS_MAX, at: str | None = None
    ) -> tuple[AsOf, EditionHistories]:
        """The states that the editions of what a reference names went through: the last `limit`, of each as many."""
        await self._ready(at)
        with self.live.durable:
            past = self._past(at, "at")
            start = past.edition[resolve(past, ref)]
            return as_of(self.live, past), edition_histories(past, start, min(limit, INTERVALS_MAX))

    async def history(self, ref: str, *, at: str | None = None) -> History:
        """Every entry about what a reference names, oldest first: all versions of its key and all events on them; and
        the states that its editions went through."""
        told, seqs = await self.history_without_entries(ref, at=at)
        return replace(told, entries=tuple(await self._views(seqs, at=at)))

    async def history_without_entries(self, ref: str, *, at: str | None = None) -> tuple[History, list[int]]:
        """The same for who reads the entries himself: without them, and their numbers."""
        await self._ready(at)
        with self.live.durable:
            past = self._past(at, "at")
            start = past.edition[resolve(past, ref)]
            editions, span = edition_histories(past, start, INTERVALS_MAX), as_of(self.live, past)
            return History(span.revision, span.clock, (), editions), entries_about(past, start)

    async def diff(self, from_: str, to: str | None = None, *, limit: int = CHANGE_FIRST_MAX) -> LedgerDiff:
        """What is different `to` a revision or a moment (None: now), from another; each list names `limit` at most.

        Raises Malformed when `from_` comes after `to`.
        """
        check_listed(limit)
        if from_ is None:
            raise Malformed("from is missing", field="from")
        await self._ready(from_, "from")
        await self._ready(to, "to")
        with self.live.durable:
            before, after = self._past(from_, "from"), self._past(to, "to")
            found = difference(before, after)
            turns = [turned(after, each, limit) for each in (found.fallen, found.revived)]
            span = as_of(self.live, before), as_of(self.live, after)
            # Of this look too: an entry that comes late changes what the index knows of the time behind it.
            reader, shown = Reader(after), listed(found, limit)
            verdicts = {seq: verdict_of(reader, seq) for seq in shown}
        picked = await self.store.pick(self.name, shown)
        with self.live.durable as index:
            return shown_difference(index, span, found, picked, verdicts, turns)

    async def compare(
        self,
        other: LedgerService,
        *,
        at: str | None = None,
        other_at: str | None = None,
        limit: int = CHANGE_FIRST_MAX,
    ) -> LedgerComparison:
        """What is different of the current versions of all keys, here and in another ledger; each as of a past.

        Each list names `limit` at most."""
        check_listed(limit)
        here, ours = await self._standings(at, "at")
        there, theirs = await other._standings(other_at, "other_at")
        # Beside the event loop, which has others to answer: nobody else has these.
        return await asyncio.to_thread(shown_comparison, (here, there), ours, theirs, limit)

    async def _standings(self, at: str | None, field: str) -> tuple[AsOf, dict[str, Standing]]:
        await self._ready(at, field)
        return await standings(self.live, functools.partial(self._past, at, field))

    async def causes(
        self, ref: str, depth: int | None = None, limit: int = GRAPH_NODES_MAX, *, at: str | None = None
    ) -> GraphSlice:
        """What it rests on, and the events that felled any of that."""
        return await self._slice(ref, up=True, depth=depth, limit=limit, at=at)

    async def consequences(
        self, ref: str, depth: int | None = None, limit: int = GRAPH_NODES_MAX, *, at: str | None = None
    ) -> GraphSlice:
        """What rests on it."""
        return await self._slice(ref, up=False, depth=depth, limit=limit, at=at)

    async def remediation(self, *, at: str | None = None) -> list[Remedy]:
        """Executed mutations that lost their ground: those to be repaired first, then those that lapsed."""
        await self._ready(at)
        with self.reading(at=at) as reader:
            acts = acts_due(reader)
        views = {view.seq: view for view in await self._views([act.seq for act in acts], at=at)}
        return [Remedy(views[act.seq], act.needed, tuple(f"@{seq}" for seq in act.causes)) for act in acts]

    async def impact(
        self, command: Mapping[str, Any] | Command, *, limit: int = IMPACT_NAMES, results: bool = True
    ) -> Impact:
        """What a batch would do if it were applied now; nothing changes. Raises Refused as that would, StoreError."""
        from ledger.model.command import parse_command
        from ledger.service.impact import foreseen

        check_names(limit)
        parsed = parse_command(command) if isinstance(command, Mapping) else command
        await self._ready(None)
        return await foreseen(self.store, self.live, self.clock, parsed, limit=limit, results=results)

    async def plan_withdrawal(self, asked: Withdrawing, *, limit: int = IMPACT_NAMES) -> WithdrawalPlan:
        """Which editions that would be, and what would fall with them; nothing changes. Raises as `find`, Malformed."""
        from ledger.service.withdrawal import withdrawal

        check_names(limit)
        targets, kinds = await self._to_withdraw(asked)
        names = [f"@{seq}" for seq in targets]
        impact = await self.impact(await withdrawal(asked, names), limit=limit, results=False)
        first = await self._views(targets[:limit], content=False)
        return WithdrawalPlan(asked=asked, kinds=kinds, targets=tuple(names), first=tuple(first), impact=impact)

    async def withdraw(self, asked: Withdrawing, plan: str, *, idempotency_key: str | None = None) -> Withdrawn:
        """Do what a plan with this digest showed, as one atomic batch. Raises ImpactChanged if it would be another by
        now, and as `plan_withdrawal` and `apply` do."""
        from ledger.model.command import check_idempotency_key
        from ledger.model.withdrawal import check_plan
        from ledger.service.recall import recalled
        from ledger.service.withdrawal import naming_the_plan, told, withdrawal

        check_plan(plan)
        check_idempotency_key(idempotency_key)
        named = {idempotency_key} if idempotency_key is not None else set()
        known = await recalled(self.store, self.live, named)
        if known:  # answered before; what it revoked then says the log
            targets = [entry.targets[0] for one in known.values() for entry in one.batch if isinstance(entry, Event)]
        else:
            targets, _ = await self._to_withdraw(asked)
        names = [f"@{seq}" for seq in targets]
        batch = await withdrawal(asked, names, plan=plan, idempotency_key=idempotency_key)
        with naming_the_plan():
            result = await self.apply(batch)
        if result.replayed and not known and await recalled(self.store, self.live, named):
            return await self.withdraw(asked, plan, idempotency_key=idempotency_key)  # it landed while this was planned
        return told(result)

    async def _to_withdraw(self, asked: Withdrawing) -> tuple[list[int], dict[str, int]]:
        """What is to be revoked, and how many of each kind."""
        from ledger.service.withdrawal import check_asked, withdrawable

        check_asked(asked)
        seqs = await self.find(asked.filter, limit=sys.maxsize)
        with self.live.durable as index:
            targets = withdrawable(index, seqs, asked.mode)
            return targets, dict(sorted(Counter(KIND_NAMES[index.kind[seq]] for seq in targets).items()))

    async def status(self, *, at: str | None = None) -> Status:
        """Head, counts, where the ledger is kept, and how long ago all of that was heard."""
        await self._ready(at)
        state_seq = None
        if isinstance(self.store, StateStore):
            state_seq = await self.store.states_upto(self.name)
        then = None if at is None else await self.head_at(at)
        with self.reading(at=at) as reader:
            index, head = reader.index, then or self.live.head
            states = {
                state if reason is None else f"{state} {reason}": n
                for (state, reason), n in states_counted(reader).items()
            }
            return Status(
                ledger=self.name,
                revision=revision_token(self.name, head.seq, head.hash),
                head=head.seq,
                hash=head.hash.hex(),
                recorded_at=format_moment(head.recorded_at_us) if head.seq else None,
                clock=format_moment(index.clock_us),
                kinds=dict(sorted(kinds_counted(index).items())),
                states=dict(sorted(states.items())),
                store=type(self.store).__name__,
                lag_s=round(self.lag_s, 3),
                state_seq=state_seq,
            )

    async def tag(self, name: str, revision: str | None = None) -> Tagged:
        """Name a revision, or the head, for good; said again of the same one it stays.

        Raises Malformed, ForeignRevision, NoSuchTag, TagConflict, NoSuchLedger; Behind; StoreError.
        """
        check_tag(name)
        if revision is None:
            await self.follower.hear()
            await self.follower.refresh()
            head = self.live.head
        else:
            head = await self.head_at(await self.follower.reach(revision, "revision"))
        tag = Tag(name, head.seq, head.hash)
        return Tagged(name, self.tagged.revision_of(tag), created=await self.tagged.put(tag))

    async def tags(self) -> list[NamedRevision]:
        """The revisions that have names, sorted by them."""
        return [NamedRevision(tag.name, self.tagged.revision_of(tag)) for tag in await self.tagged.all()]

    async def audit(self, progress: AuditProgress | None = None) -> AuditReport:
        """Recompute the chain and validity from nothing and hold them against what is live and what is shown."""
        await self.follower.refresh()
        if self.mirror is not None:
            await self.mirror.flush()
        return await audit(self.store, self.live, self.clock, progress)

    async def sealed(self, *, content: bool = False) -> AsyncIterator[Sealed]:
        """The whole log, oldest first."""
        after = 0
        while page := await self.store.read(self.name, after, PAGE_ENTRIES, content=content):
            if page[-1].entry.seq <= after:
                raise Corrupt(f"{self.name!r} has entry {page[-1].entry.seq} again behind entry {after}")
            for sealed in page:
                yield sealed
            after = page[-1].entry.seq

    def changes(self, after: str | None = None) -> AsyncGenerator[Change]:
        """What each batch does, one change a batch, in order, without gap or repetition; it goes on until closed.

        Behind revision `after`, those of the past from the log; None: from now on, as known here. The first step
        raises Malformed, ForeignRevision, Behind for `after`. Any may raise StoreError; SlowReader when more changes
        came than are kept since the last was taken; Unavailable when the ledger is closed. Both name the `revision` to
        resume after.
        """
        return self.feed.changes(after)

    # -- within -------------------------------------------------------------------------------------------------------

    def _reader(self, max_age_s: float | None = None, at: str | None = None) -> Reader:
        """Read as of now, or as it was `at` a revision or a moment; time never goes back."""
        if max_age_s is not None and not max_age_s >= 0:
            raise Malformed("max_age_s is a number of seconds, not negative", field="max_age_s")
        index = self.live.index
        index.advance(self.clock())
        return Reader(
            index if at is None else self._then(at),
            None if max_age_s is None else int(min(max_age_s, AGE_S_MAX) * SECOND),
        )

    async def _ready(self, at: str | None, field: str = "at") -> None:
        """Make sure that a read may answer, as of now or `at` a revision."""
        if at is not None and names_revision(at):
            await self.follower.reach(at, field)
        await self.follower.refresh()

    def _past(self, at: str | None, field: str) -> Past:
        """The same as a past, even if it is now: it stays what it was while the ledger goes on."""
        index = self.live.index
        index.advance(self.clock())
        return Past(index, index.upto, index.clock_us) if at is None else self._then(at, field)

    def _then(self, at: str, field: str = "at") -> Past:
        return past(self.live.index, self.tagged.known(at) or at, field)

    async def _views(self, seqs: Sequence[int], *, content: bool = True, at: str | None = None) -> list[EntryView]:
        return [seen.view for seen in await self.seen(seqs, content=content, at=at)]

    async def _slice(self, ref: str, *, up: bool, depth: int | None, limit: int, at: str | None) -> GraphSlice:
        check_walk(depth, limit)
        await self._ready(at)
        with self.reading(at=at) as reader:
            index = reader.index
            start = index.edition[resolve(index, ref)]
            found = walk(index, start, up=up, depth=depth, limit=limit)
            nodes = [node_of(reader, edition, distance) for edition, distance in found.depths.items()]
            edges = [Edge(id_of(index, source), "BECAUSE", id_of(index, premise)) for source, premise in found.edges]
            events = {
                seq: edition for edition in found.depths for seq in reader.felled_by(edition) if up or edition == start
            }
            known = {node.id for node in nodes}
            for seq, edition in events.items():
                kind = KIND_NAMES[index.kind[seq]]
                edges.append(
                    Edge(f"@{seq}", "REVOKES" if kind == "revocation" else "SUPERSEDES", id_of(index, edition))
                )
                if f"@{seq}" not in known:
                    nodes.append(Node(f"@{seq}", name_of(index, seq), kind, depth=found.depths[edition] + 1))
            return GraphSlice(
                self.live.revision_of(index.upto), tuple(nodes), tuple(edges), found.hidden > 0, found.hidden
            )
