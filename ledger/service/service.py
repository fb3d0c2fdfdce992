"""One ledger, whole: the reads, the writes, and what keeps them apart."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import UNSET

from ledger.clock import SECOND, Clock, format_moment, system_clock
from ledger.errors import Corrupt, Malformed, NoSuchLedger, Unavailable
from ledger.model.entry import Record, Sealed
from ledger.model.reference import check_ledger
from ledger.model.result import BatchResult
from ledger.model.verdict import FRESH, Report
from ledger.model.view import Edge, EntryView, Explanation, GraphSlice, Node, PathStep, Remedy, Status
from ledger.service.audit import AuditReport, audit
from ledger.service.live import Live
from ledger.service.mirror import Mirror
from ledger.store.base import PAGE_ENTRIES, StateStore, Store
from ledger.validity.graph import acts_without_ground, entries_about, walk
from ledger.validity.index import KIND_NAMES, NONE, Index
from ledger.validity.resolve import name_of, record_named, resolve
from ledger.validity.verdicts import Reader

if TYPE_CHECKING:  # only writing needs the models of commands, and to build them takes longer than a whole check
    from ledger.model.command import Command
    from ledger.service.committer import Committer

GRAPH_NODES_MAX = 1_000


class LedgerService:
    """A ledger in a store, as one process knows it. `open` before use, `close` after.

    Reads answer from the index, which follows the log; contents come from the store. Every answer names its revision.
    """

    def __init__(self, store: Store, name: str = "main", clock: Clock = system_clock) -> None:
        self.store = store
        self.name = check_ledger(name)
        self.clock = clock
        self.live = Live(store, name)
        self.mirror = (
            Mirror(store, self.live, holder=f"{os.getpid()}-{uuid.uuid4().hex[:8]}")
            if isinstance(store, StateStore)
            else None
        )
        self._follower: asyncio.Task[None] | None = None

    async def open(self, *, create: bool = True, progress: Callable[[int], None] | None = None) -> None:
        """Connect, and follow the log to its end. Raises StoreError; NoSuchLedger if there is none and not `create`."""
        await self.store.open(create=create)
        if not create and await self.store.head(self.name) is None:
            known = await self.store.ledgers()
            hint = f"; here are: {', '.join(known)}" if known else "; nothing has been written here yet"
            raise NoSuchLedger(f"there is no ledger {self.name!r}{hint}", ledger=self.name)
        if self.mirror is not None:
            self.live.index.dirty = {}
        await self.live.catch_up(progress)
        if self.mirror is not None:
            await self.mirror.start()
        if self.store.poll_s is not None:
            self._follower = asyncio.create_task(self._follow(self.store.poll_s))

    async def close(self) -> None:
        """Answer what waits, write the states that are due, and let go of the store."""
        if "committer" in self.__dict__:
            await self.committer.drain()
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        if self.mirror is not None:
            await self.mirror.stop()
        await self.store.close()

    async def _follow(self, poll_s: float) -> None:
        """Hear of what other processes write."""
        while True:
            await asyncio.sleep(poll_s)
            # An outage is not news to those who read: they go on with what is known, up to `max_lag`.
            with contextlib.suppress(Unavailable):
                head = await self.store.head(self.name)
                if head is not None and head.seq > self.live.head.seq:
                    await self.live.catch_up()
                    await self._landed()

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
        submission = await self.committer.submit([parsed])
        if submission.refusal is not None:
            raise submission.refusal
        return submission.answers[0]

    # -- reading ------------------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Take in what other processes wrote, where that can be seen cheaply."""
        if self.live.behind:
            await self.live.catch_up()

    def check_now(self, refs: Sequence[str], max_age_s: float | None = None) -> Report | None:
        """The check without waiting, from any thread; None if the log must be read first."""
        if self.live.behind:
            return None
        refs = list(refs)
        with self.live.durable:
            reader = self._reader(max_age_s)
            return Report(self.live.revision, reader.index.clock_us, refs, reader.check(refs))

    async def check(self, refs: Sequence[str], max_age_s: float | None = None) -> Report:
        """A verdict for each reference, in order. A reference that cannot be resolved is unknown, never an error."""
        if isinstance(refs, str):
            raise Malformed("refs is a list of references, not one string", field="refs")
        while (report := self.check_now(refs, max_age_s)) is None:
            await self.live.catch_up()
        return report

    async def why(self, ref: str, max_age_s: float | None = None) -> Explanation:
        """The verdict, and the path from the root cause to the entry. Raises NotFound, Ambiguous, Malformed."""
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
        await self.refresh()
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
