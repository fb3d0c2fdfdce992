"""One ledger, whole: the reads, the writes, and what keeps them apart."""

from __future__ import annotations

import functools
import os
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import UNSET

from ledger.clock import SECOND, Clock, format_moment, system_clock
from ledger.errors import Behind, Corrupt, Malformed, NoSuchLedger, Unavailable
from ledger.model.change import Change
from ledger.model.entry import Record, Sealed
from ledger.model.reference import check_ledger
from ledger.model.result import BatchResult
from ledger.model.verdict import FRESH, UNKNOWN, Report, Verdict
from ledger.model.view import Edge, EntryView, Explanation, GraphSlice, Node, PathStep, Remedy, Status
from ledger.service.audit import AuditReport, audit
from ledger.service.expiry import ExpiryNotes
from ledger.service.feed import Feed
from ledger.service.follower import MAX_LAG_S, REACH_S, Follower
from ledger.service.live import Live
from ledger.service.mirror import Mirror
from ledger.store.base import PAGE_ENTRIES, StateStore, Store
from ledger.validity.graph import acts_without_ground, entries_about, walk
from ledger.validity.index import KIND_NAMES, NONE, Index
from ledger.validity.resolve import name_of, record_named, resolve
from ledger.validity.verdicts import Reader

if TYPE_CHECKING:  # only writing needs the models of commands, and to build them takes longer than a whole check
    from ledger.model.command import Command
    from ledger.service.committer import Committer, Submission

GRAPH_NODES_MAX = 1_000


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
    ) -> None:
        self.store = store
        self.name = check_ledger(name)
        self.clock = clock
        self.live = Live(store, name)
        self.mirror = (
            Mirror(store, self.live, holder=f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
            if isinstance(store, StateStore)
            else None
        )
        self.follower = Follower(self.live, self._landed, max_lag_s, reach_s)
        self.feed = Feed(self.live, self.follower)
        self._notes = ExpiryNotes(self.live, clock, self._note_expiries) if note_expiries else None
        self._closed = False

    async def open(self, *, create: bool = True, progress: Callable[[int], None] | None = None) -> None:
        """Follow the log to its end. Raises StoreError; NoSuchLedger if there is none and not `create`."""
        if not create:
            await require_ledger(self.store, self.name)
        if self.mirror is not None:
            self.live.index.dirty = {}
        await self.live.catch_up(progress)
        if self.mirror is not None:
            await self.mirror.start()
        self.follower.start()
        if self._notes is not None:
            self._notes.start()

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

    async def _landed(self) -> None:
        if self.mirror is not None:
            self.mirror.wake()

    # -- writing ------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def committer(self) -> Committer:
        """The one writer of this ledger in this process."""
        from ledger.service.committer import Committer

        return Committer(self.store, self.live, self.clock, self._landed)

    async def apply(self, command: Mapping[str, Any] | Command) -> BatchResult:
        """Judge and commit one batch (a single command is one). Raises Refused, StoreError."""
        from ledger.model.command import parse_command

        parsed = parse_command(command) if isinstance(command, Mapping) else command
        submission = await self.submit([parsed])
        if submission.refusal is not None:
            raise submission.refusal
        return submission.answers[0]

    async def submit(self, commands: Sequence[Command]) -> Submission:
        """Batches of one caller, as `Committer.submit`. Raises Unavailable when the ledger was closed meanwhile."""
        return await self.committer.answered(self.enqueue(commands))

    def enqueue(self, commands: Sequence[Command], follows: Submission | None = None) -> Submission:
        """The same, to be waited for later: as `Committer.enqueue`."""
        if self._closed:
            raise Unavailable(f"{self.name!r} has been closed here; nothing was recorded", ledger=self.name)
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
        self, refs: Sequence[str], max_age_s: float | None = None, at_least: str | None = None
    ) -> Report | None:
        """The check without waiting, from any thread; None if the store must be asked first."""
        if not self.follower.is_current() or (at_least is not None and not self.follower.knows(at_least)):
            return None
        return self._judged(list(refs), max_age_s)

    async def check(
        self, refs: Sequence[str], max_age_s: float | None = None, *, at_least: str | None = None, full: bool = False
    ) -> Report:
        """A verdict for each reference, in order. A reference that cannot be resolved is unknown, never an error.

        As of revision `at_least` or later; with `full`, of all that the store holds when asked. When this process
        cannot know that in time, or has not heard from the store for too long, all are unknown (`behind`). Raises
        Malformed and ForeignRevision for `at_least`, StoreError when the store can tell nothing for good.
        """
        if isinstance(refs, str):
            raise Malformed("refs is a list of references, not one string", field="refs")
        refs = list(refs)
        try:
            await self.reach(at_least)
            if full:
                await self.follower.hear()
            await self.follower.refresh()
        except Behind:
            return self._judged(refs, max_age_s, behind=True)
        return self._judged(refs, max_age_s)

    def _judged(self, refs: list[str], max_age_s: float | None, *, behind: bool = False) -> Report:
        with self.live.durable:
            reader = self._reader(max_age_s)
            found = [Verdict(str(ref), UNKNOWN, "behind") for ref in refs] if behind else reader.check(refs)
            return Report(self.live.revision, reader.index.clock_us, refs, found)

    async def why(self, ref: str, max_age_s: float | None = None) -> Explanation:
        """The verdict, and the path from the root cause to the entry. Raises NotFound, Ambiguous, Malformed."""
        await self.follower.refresh()
        with self.live.durable:
            reader = self._reader(max_age_s)
            seq = record_named(reader.index, resolve(reader.index, ref))
            verdict, steps = reader.verdict_of(seq, ref), reader.path(reader.index.edition[seq])
            revision, clock_us = self.live.revision, reader.index.clock_us
        views = {view.seq: view for view in await self._views([step.seq for step in steps])}
        path = tuple(PathStep(views[step.seq], step.reason) for step in steps)
        return Explanation(revision, format_moment(clock_us), verdict, path)

    async def entry(self, ref: str) -> EntryView:
        """The entry a reference names; `@42` names an event itself. Raises NotFound, Ambiguous, Malformed."""
        await self.follower.refresh()
        with self.live.durable:
            index = self.live.index
            literal = ref[1:] if ref[:1] == "@" and ref[1:].isascii() and ref[1:].isdigit() else ""
            seq = int(literal) if literal and 0 < int(literal) < len(index.kind) else resolve(index, ref)
        return (await self._views([seq]))[0]

    async def entries(
        self,
        *,
        kinds: Iterable[str] | None = None,
        key_prefix: str | None = None,
        actor: str | None = None,
        state: str | None = None,
        current: bool = False,
        after: int = 0,
        limit: int = 100,
        content: bool = True,
    ) -> list[EntryView]:
        """Entries in the order of the log, after entry `after`; `current`: only the current version of each key."""
        await self.follower.refresh()
        with self.live.durable:
            seqs = list(self._matching(kinds, key_prefix, state, current, after))
        found: list[EntryView] = []
        for start in range(0, len(seqs), PAGE_ENTRIES):
            page = await self._views(seqs[start : start + PAGE_ENTRIES], content=content)
            found += [view for view in page if actor is None or view.actor == actor]
            if len(found) >= limit:
                break
        return found[:limit]

    async def history(self, ref: str) -> list[EntryView]:
        """Every entry about what a reference names, oldest first: all versions of its key and all events on them."""
        await self.follower.refresh()
        with self.live.durable:
            index = self.live.index
            seqs = entries_about(index, index.edition[resolve(index, ref)])
        return await self._views(seqs)

    async def causes(self, ref: str, depth: int | None = None, limit: int = GRAPH_NODES_MAX) -> GraphSlice:
        """What it rests on, and the events that felled any of that."""
        return await self._slice(ref, up=True, depth=depth, limit=limit)

    async def consequences(self, ref: str, depth: int | None = None, limit: int = GRAPH_NODES_MAX) -> GraphSlice:
        """What rests on it."""
        return await self._slice(ref, up=False, depth=depth, limit=limit)

    async def remediation(self) -> list[Remedy]:
        """Executed mutations that lost their ground: those to be repaired first, then those that lapsed."""
        await self.follower.refresh()
        with self.live.durable:
            reader = self._reader()
            acts = acts_without_ground(reader.index)
            newest = {act.edition: reader.index.newest[act.edition] for act in acts}
            causes = {act.edition: act.causes or [reader.cause(act.edition)] for act in acts}
        views = {view.seq: view for view in await self._views(list(newest.values()))}
        remedies = [
            Remedy(views[newest[act.edition]], bool(act.causes), tuple(f"@{seq}" for seq in causes[act.edition]))
            for act in acts
        ]
        return sorted(remedies, key=lambda remedy: not remedy.needed)

    async def status(self) -> Status:
        """Head, counts, and where the ledger is kept."""
        await self.follower.refresh()
        state_seq = None
        if isinstance(self.store, StateStore):
            state_seq = await self.store.states_upto(self.name)
        with self.live.durable:
            reader = self._reader()
            index, head = reader.index, reader.index.head
            kinds = Counter(KIND_NAMES[kind] for kind in index.kind[1:])
            states: Counter[str] = Counter()
            for key in range(len(index.key_names)):
                reason = reader.reason(index.edition[index.current_version(key)])
                states[FRESH if reason is None else f"stale {reason}"] += 1
            return Status(
                ledger=self.name,
                revision=self.live.revision,
                head=head.seq,
                hash=head.hash.hex(),
                recorded_at=format_moment(head.recorded_at_us) if head.seq else None,
                clock=format_moment(index.clock_us),
                kinds=dict(sorted(kinds.items())),
                states=dict(sorted(states.items())),
                store=type(self.store).__name__,
                state_seq=state_seq,
            )

    async def audit(self, progress: Callable[[str, int, int], None] | None = None) -> AuditReport:
        """Recompute the chain and validity from nothing and hold them against what is live and what is shown."""
        await self.follower.refresh()
        if self.mirror is not None:
            with self.live.durable:
                self._reader()  # what expires by now changes states too
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

    def _reader(self, max_age_s: float | None = None) -> Reader:
        """Read as of now; time never goes back."""
        if max_age_s is not None and max_age_s < 0:
            raise Malformed("max_age_s is not negative", field="max_age_s")
        self.live.index.advance(self.clock())
        return Reader(self.live.index, None if max_age_s is None else int(max_age_s * SECOND))

    def _matching(
        self,
        kinds: Iterable[str] | None,
        key_prefix: str | None,
        state: str | None,
        current: bool,
        after: int,
    ) -> Iterable[int]:
        reader = self._reader()
        index = reader.index
        wanted = None if kinds is None else {_kind_code(kind) for kind in kinds}
        seqs: Iterable[int] = range(after + 1, len(index.kind))
        if current:
            seqs = sorted(index.current_version(key) for key in range(len(index.key_names)))
        for seq in seqs:
            if seq <= after or (wanted is not None and index.kind[seq] not in wanted):
                continue
            edition = index.edition[seq]
            if key_prefix is not None and not _key_starts(index, edition, key_prefix):
                continue
            if state is not None and (not index.is_record(seq) or reader.verdict_of(seq).state != state):
                continue
            yield seq

    async def _views(self, seqs: Sequence[int], *, content: bool = True) -> list[EntryView]:
        picked = await self.store.pick(self.name, seqs, content=content)
        with self.live.durable:
            reader = self._reader()
            return [_view(reader, sealed) for sealed in picked]

    async def _slice(self, ref: str, *, up: bool, depth: int | None, limit: int) -> GraphSlice:
        await self.follower.refresh()
        with self.live.durable:
            reader = self._reader()
            index = reader.index
            start = index.edition[resolve(index, ref)]
            found = walk(index, start, up=up, depth=depth, limit=min(limit, GRAPH_NODES_MAX))
            nodes = [_node(reader, edition, distance) for edition, distance in found.depths.items()]
            edges = [Edge(_id(index, source), "BECAUSE", _id(index, premise)) for source, premise in found.edges]
            events = {
                seq: edition for edition in found.depths for seq in reader.felled_by(edition) if up or edition == start
            }
            known = {node.id for node in nodes}
            for seq, edition in events.items():
                kind = KIND_NAMES[index.kind[seq]]
                edges.append(Edge(f"@{seq}", "REVOKES" if kind == "revocation" else "SUPERSEDES", _id(index, edition)))
                if f"@{seq}" not in known:
                    nodes.append(Node(f"@{seq}", name_of(index, seq), kind, depth=found.depths[edition] + 1))
            return GraphSlice(self.live.revision, tuple(nodes), tuple(edges), found.hidden > 0, found.hidden)


def _kind_code(kind: str) -> int:
    if kind not in KIND_NAMES:
        raise Malformed(f"{kind!r} is no kind; expected one of {', '.join(KIND_NAMES)}", field="kinds")
    return KIND_NAMES.index(kind)


def _key_starts(index: Index, edition: int, prefix: str) -> bool:
    return (
        edition != NONE and index.key_of[edition] != NONE and index.key_names[index.key_of[edition]].startswith(prefix)
    )


def _id(index: Index, edition: int) -> str:
    return f"@{index.newest[edition]}"


def _node(reader: Reader, edition: int, depth: int) -> Node:
    verdict = reader.verdict_of(reader.index.newest[edition])
    kind = KIND_NAMES[reader.index.kind[reader.index.birth[edition]]]
    return Node(verdict.id or "", verdict.ref, kind, verdict.state, verdict.reason, depth)


def _view(reader: Reader, sealed: Sealed) -> EntryView:
    entry, index = sealed.entry, reader.index
    record = isinstance(entry, Record)

    def moment(name: str) -> str | None:
        value = getattr(entry, name, None)
        return None if value is None or value is UNSET else format_moment(value)

    def names(name: str) -> tuple[str, ...]:
        return tuple(name_of(index, seq) for seq in getattr(entry, name, ()))

    return EntryView(
        id=f"@{entry.seq}",
        seq=entry.seq,
        kind=entry.kind,
        ref=name_of(index, entry.seq),
        key=getattr(entry, "key", None),
        version=entry.version if isinstance(entry, Record) else None,
        digest=getattr(entry, "digest", None),
        content=None if sealed.content is None else orjson.loads(sealed.content),
        because=tuple(tuple(name_of(index, seq) for seq in premises) for premises in getattr(entry, "because", ())),
        cites=names("cites"),
        supersedes=names("supersedes"),
        amends=name_of(index, entry.amends) if isinstance(entry, Record) and entry.amends else None,
        valid_until=moment("valid_until_us"),
        targets=names("targets"),
        observed=getattr(entry, "observed", ()),
        mode=getattr(entry, "mode", None),
        reason=getattr(entry, "reason", None),
        effective_at=moment("effective_at_us"),
        lifts=tuple(f"@{seq}" for seq in getattr(entry, "lifts", ())),
        outcomes=tuple(dict.fromkeys(request.outcome for request in entry.requests if request.position >= 0)),
        actor=entry.actor,
        occurred_at=moment("occurred_at_us"),
        recorded_at=format_moment(entry.recorded_at_us),
        hash=sealed.hash.hex(),
        verdict=reader.verdict_of(entry.seq) if record else None,
    )
