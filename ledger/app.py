"""The composition root, and the library people use: a ledger opened in this process.

with Ledger.open("sqlite:///ledger.db") as ledger:                     async with AsyncLedger.open(…) as ledger:
    ledger.record("dependency", {"limit": 500}, key="refund-limit")        await ledger.record(…)
    ledger.check(["refund-limit"]).fresh                                   (await ledger.check([…])).fresh
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import threading
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ledger.clock import Clock, system_clock
from ledger.errors import LedgerClosed, Malformed
from ledger.model.change import CHANGE_FIRST_MAX, Change
from ledger.model.entry import Head
from ledger.model.impact import IMPACT_NAMES, Impact
from ledger.model.listing import Listing, Wanted
from ledger.model.result import BatchResult, Result
from ledger.model.verdict import Report
from ledger.model.view import (
    GRAPH_NODES_MAX,
    AuditProgress,
    AuditReport,
    EntryView,
    Explanation,
    GraphSlice,
    History,
    ImportReport,
    LedgerComparison,
    LedgerDiff,
    NamedRevision,
    Remedy,
    Status,
    Tagged,
)
from ledger.model.withdrawal import Planning, WithdrawalPlan, Withdrawing, Withdrawn
from ledger.model.writing import Moment, Refs, Writing, batch_of
from ledger.service.follower import MAX_LAG_S, REACH_S
from ledger.service.ledgers import Ledgers
from ledger.service.pacing import UNLIMITED, WriteLimits
from ledger.service.service import LedgerService
from ledger.store.address import open_store
from ledger.store.base import Store
from ledger.store.rehearsal import Rehearsal

P = ParamSpec("P")
T = TypeVar("T")


EXPORT_BYTES = 256 << 10
"""Of lines taken at once: to change threads costs more than to make a line."""


class AsyncLedger(
    Writing[Coroutine[Any, Any, Result], Coroutine[Any, Any, BatchResult]],
    Listing[Coroutine[Any, Any, list[EntryView]]],
    Planning[Coroutine[Any, Any, WithdrawalPlan], Coroutine[Any, Any, Withdrawn]],
):
    """A ledger for code that runs in an event loop. `Ledger` is the same for code that does not.

    Writes raise Refused (with a stable `code`) when a law forbids them, StoreError when the store cannot; reads of one
    reference raise NotFound, Ambiguous or Malformed. `check` never raises for a reference: unknown is a verdict.

    Reads take `at_least`, a revision such as `result.revision`: the answer is not older, whichever process wrote it.
    With `at`, a revision or a moment (RFC 3339), they answer as the ledger would have then. Where a revision is taken,
    a tag of one is too, as `tag:NAME`.
    ForeignRevision is raised for one of another ledger or history, Behind (by `check`: unknown) for one that this
    process does not hear of in time.
    """

    def __init__(self, service: LedgerService) -> None:
        self._service = service

    @classmethod
    def open(
        cls,
        store: str | Store = "sqlite:///ledger.db",
        ledger: str = "main",
        *,
        create: bool = True,
        dry_run: bool = False,
        clock: Clock = system_clock,
        max_lag_s: float = MAX_LAG_S,
        reach_s: float = REACH_S,
        progress: Callable[[int], None] | None = None,
    ) -> _Opening:
        """Open a ledger: `async with AsyncLedger.open(…) as ledger`, or `ledger = await AsyncLedger.open(…)`.

        Store addresses: `sqlite:///file.db`, `memory:`, `bolt://host:7687[/database]`, `neo4j://…` (also `+s`). Nothing
        is created before the first write; with `create=False` a ledger that does not exist raises NoSuchLedger. With
        `dry_run` all that is written is judged, answered and kept in memory, and the store stays as it is. When nothing
        was heard from the store for `max_lag_s` seconds, no check answers fresh; `reach_s` is how long a read waits for
        the revision it names.
        """
        return _Opening(lambda: cls._open(store, ledger, create, dry_run, clock, max_lag_s, reach_s, progress))

    @classmethod
    async def _open(
        cls,
        store: str | Store,
        ledger: str,
        create: bool,
        dry_run: bool,
        clock: Clock,
        max_lag_s: float,
        reach_s: float,
        progress: Callable[[int], None] | None,
    ) -> AsyncLedger:
        place = open_store(store) if isinstance(store, str) else store
        place = Rehearsal(place) if dry_run else place
        opened = cls(LedgerService(place, ledger, clock, max_lag_s=max_lag_s, reach_s=reach_s))
        try:
            await opened._service.store.open(create=create)
            await opened._service.open(create=create, progress=progress)
        except BaseException:
            await opened.close()
            raise
        return opened

    async def close(self) -> None:
        """Answer what waits, and let go of the store."""
        await self._service.close()
        await self._service.store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def name(self) -> str:
        return self._service.name

    @property
    def revision(self) -> str:
        """The last entry this process has heard of, such as `main@1042.9f3c1a2b`."""
        return self._service.live.revision

    # -- writing: record, revoke, reinstate, verify and apply are those of `Writing` -----------------------------------

    async def _batch(self, command: dict[str, Any]) -> BatchResult:
        return await self._service.apply(command)

    async def _one(self, command: dict[str, Any]) -> Result:
        return (await self._service.apply(command)).results[0]

    async def import_lines(
        self, lines: Iterable[bytes], *, atomic: bool = False, progress: Callable[[int], None] | None = None
    ) -> ImportReport:
        """Apply an interchange file, each line a batch of its own; stops at the first error, which names its line."""
        from ledger.service.interchange import import_lines

        return await import_lines(self._service, lines, atomic=atomic, progress=progress)

    async def restore(self, lines: Iterable[bytes], *, progress: Callable[[int], None] | None = None) -> Head:
        """Bring a verbatim log into a ledger that is empty or holds its beginning, verifying every hash."""
        from ledger.service.restoring import restore

        return await restore(self._service, lines, progress)

    # -- reading: entries is that of `Listing` ------------------------------------------------------------------------

    async def check(
        self,
        refs: Refs,
        *,
        max_age_s: float | None = None,
        at: str | None = None,
        at_least: str | None = None,
        full: bool = False,
    ) -> Report:
        """A verdict for each reference, in the order asked; all as of one revision.

        With `full` as of all that the store holds now: it is asked first. With `at`, a revision or a moment (RFC 3339),
        as the ledger would have answered then.
        """
        return await self._service.check(refs, max_age_s, at=at, at_least=at_least, full=full)

    async def why(
        self, ref: str, *, max_age_s: float | None = None, at: str | None = None, at_least: str | None = None
    ) -> Explanation:
        """The verdict, and the path from the root cause to it."""
        await self._service.reach(at_least)
        return await self._service.why(ref, max_age_s, at=at)

    async def entry(self, ref: str, *, at: str | None = None, at_least: str | None = None) -> EntryView:
        """The entry a reference names; `@42` names an event itself."""
        await self._service.reach(at_least)
        return await self._service.entry(ref, at=at)

    async def _entries(
        self, wanted: Wanted, after: int, limit: int, content: bool, at: str | None, at_least: str | None
    ) -> list[EntryView]:
        await self._service.reach(at_least)
        return await self._service.entries(wanted, after=after, limit=limit, content=content, at=at)

    async def history(self, ref: str, *, at: str | None = None, at_least: str | None = None) -> History:
        """Every version of a key and every event about them, oldest first; and, in `editions`, the states these went
        through."""
        await self._service.reach(at_least)
        return await self._service.history(ref, at=at)

    async def diff(
        self, from_: str, to: str | None = None, *, limit: int = CHANGE_FIRST_MAX, at_least: str | None = None
    ) -> LedgerDiff:
        """What is different `to` a revision or a moment (None: now), from another: what was recorded, withdrawn and
        reinstated, and what fell and revived by that, or by time that passed.

        Each list names the first `limit`, a thousand at most, and counts all.
        """
        await self._service.reach(at_least)
        return await self._service.diff(from_, to, limit=limit)

    async def compare(
        self,
        other: str,
        *,
        at: str | None = None,
        other_at: str | None = None,
        limit: int = CHANGE_FIRST_MAX,
        at_least: str | None = None,
    ) -> LedgerComparison:
        """What is different of the current versions of all keys, here and in another ledger of the same store: keys
        that only one has, contents, verdicts. `at` is a past of this one, `other_at` of the other.

        Each list names the first `limit`, a thousand at most, and counts all.
        """
        await self._service.reach(at_least)
        async with self._beside(other) as service:
            return await self._service.compare(service, at=at, other_at=other_at, limit=limit)

    @contextlib.asynccontextmanager
    async def _beside(self, name: str) -> AsyncIterator[LedgerService]:
        """Another ledger of the same store, to look at. Raises NoSuchLedger."""
        if name == self.name:
            yield self._service
            return
        service = LedgerService(self._service.store, name, self._service.clock)
        try:
            await service.open(create=False)
            yield service
        finally:
            await service.close()

    async def causes(
        self,
        ref: str,
        *,
        depth: int | None = None,
        limit: int = GRAPH_NODES_MAX,
        at: str | None = None,
        at_least: str | None = None,
    ) -> GraphSlice:
        """What it rests on, and what felled any of that."""
        await self._service.reach(at_least)
        return await self._service.causes(ref, depth, limit, at=at)

    async def consequences(
        self,
        ref: str,
        *,
        depth: int | None = None,
        limit: int = GRAPH_NODES_MAX,
        at: str | None = None,
        at_least: str | None = None,
    ) -> GraphSlice:
        """What rests on it."""
        await self._service.reach(at_least)
        return await self._service.consequences(ref, depth, limit, at=at)

    async def remediation(self, *, at: str | None = None, at_least: str | None = None) -> list[Remedy]:
        """Executed mutations that lost their ground (law 16)."""
        await self._service.reach(at_least)
        return await self._service.remediation(at=at)

    async def impact(
        self,
        commands: Iterable[Mapping[str, Any]],
        *,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
        limit: int = IMPACT_NAMES,
        at_least: str | None = None,
    ) -> Impact:
        """What `apply` would do with these commands now: what would fall and revive, which acts would need repair.

        Nothing is recorded. What would be refused is refused. At most `limit` names in each list, and 1,000.
        """
        batch = batch_of(commands, actor=actor, occurred_at=occurred_at, idempotency_key=idempotency_key)
        await self._service.reach(at_least)
        return await self._service.impact(batch, limit=limit)

    async def _plan(self, asked: Withdrawing, limit: int, at_least: str | None) -> WithdrawalPlan:
        await self._service.reach(at_least)
        return await self._service.plan_withdrawal(asked, limit=limit)

    async def _withdraw(self, asked: Withdrawing, plan: str, idempotency_key: str | None) -> Withdrawn:
        return await self._service.withdraw(asked, plan, idempotency_key=idempotency_key)

    async def status(self, *, at: str | None = None) -> Status:
        """Head and counts."""
        return await self._service.status(at=at)

    async def tag(self, name: str, revision: str | None = None) -> Tagged:
        """Give a revision (None: the head) a name for good: `tag:NAME` is taken wherever a revision is.

        The same again is fine, and said; TagConflict is raised for a name that another revision has.
        """
        return await self._service.tag(name, revision)

    async def tags(self) -> list[NamedRevision]:
        """The revisions that have names, sorted by them."""
        return await self._service.tags()

    async def audit(self, *, progress: AuditProgress | None = None) -> AuditReport:
        """Compute everything again from nothing and compare (law 13)."""
        return await self._service.audit(progress)

    def changes(self, after: str | None = None) -> AsyncGenerator[Change]:
        """What each batch does to the ledger, one change a batch, in order; it goes on until closed.

        Behind revision `after` without gap or repetition, or from now on. SlowReader is raised when this process
        records faster than its changes are taken; it names the revision to resume after.
        """
        return self._service.changes(after)

    def export(self, *, entries: bool = False) -> AsyncIterator[bytes]:
        """Lines of the ledger: commands that make it again, or (`entries`) the verbatim log for `restore`."""
        from ledger.service.interchange import export_commands, export_entries

        return export_entries(self._service) if entries else export_commands(self._service)


class _Opening:
    """What `AsyncLedger.open` gives: awaited or entered, it opens."""

    def __init__(self, start: Callable[[], Coroutine[Any, Any, AsyncLedger]]) -> None:
        self._start = start
        self._ledger: AsyncLedger | None = None

    def __await__(self) -> Any:
        return self._start().__await__()

    async def __aenter__(self) -> AsyncLedger:
        self._ledger = await self._start()
        return self._ledger

    async def __aexit__(self, *_: object) -> None:
        if self._ledger is not None:
            await self._ledger.close()


def _waited(
    method: Callable[Concatenate[AsyncLedger, P], Awaitable[T]],
) -> Callable[Concatenate[Ledger, P], T]:
    """The same method for `Ledger`: run in its loop, and waited for."""

    @functools.wraps(method)
    def call(self: Ledger, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._wait(method(self._ledger, *args, **kwargs))

    return call  # type: ignore[return-value]  # functools.wraps types the first argument away


class Ledger:
    """A ledger for code without an event loop: every method of AsyncLedger, called and waited for.

    May be used from several threads, but not in a process that was forked after it was opened. A loop of its own runs
    in a thread beside; `check` does not go through it unless another process wrote: it costs what the look-up costs.
    """

    def __init__(self, loop: _Loop, ledger: AsyncLedger) -> None:
        self._loop = loop
        self._ledger = ledger

    @classmethod
    def open(
        cls,
        store: str | Store = "sqlite:///ledger.db",
        ledger: str = "main",
        *,
        create: bool = True,
        dry_run: bool = False,
        clock: Clock = system_clock,
        max_lag_s: float = MAX_LAG_S,
        reach_s: float = REACH_S,
        progress: Callable[[int], None] | None = None,
    ) -> Self:
        """As `AsyncLedger.open`: `with Ledger.open("sqlite:///ledger.db") as ledger`. Raises StoreError."""
        loop = _Loop()
        try:
            return cls(
                loop, loop.run(AsyncLedger._open(store, ledger, create, dry_run, clock, max_lag_s, reach_s, progress))
            )
        except BaseException:
            loop.close()
            raise

    def close(self) -> None:
        """Answer what waits, and let go of the store."""
        if not self._loop.closed:
            try:
                self._wait(self._ledger.close())
            finally:
                self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        return self._ledger.name

    @property
    def revision(self) -> str:
        """The last entry this process has heard of."""
        return self._ledger.revision

    def check(
        self,
        refs: Refs,
        *,
        max_age_s: float | None = None,
        at: str | None = None,
        at_least: str | None = None,
        full: bool = False,
    ) -> Report:
        """As `AsyncLedger.check`."""
        self._loop.require()
        if not full:
            report = self._ledger._service.check_now(refs, max_age_s, at_least, at)
            if report is not None:
                return report
        return self._wait(self._ledger.check(refs, max_age_s=max_age_s, at=at, at_least=at_least, full=full))

    def changes(self, after: str | None = None) -> Generator[Change]:
        """As `AsyncLedger.changes`; each step waits for the next change."""
        return self._each(self._ledger.changes(after))

    def _each(self, items: AsyncGenerator[T]) -> Generator[T]:
        while True:
            item = self._wait(anext(items))
            try:
                yield item
            except GeneratorExit:
                if not self._loop.closed:
                    self._wait(items.aclose())
                raise

    def export(self, *, entries: bool = False) -> Iterator[bytes]:
        """Lines of the ledger: commands that make it again, or (`entries`) the verbatim log for `restore`."""
        lines = self._ledger.export(entries=entries)
        while page := self._wait(_next_of(lines)):
            yield from page

    record = _waited(AsyncLedger.record)
    revoke = _waited(AsyncLedger.revoke)
    reinstate = _waited(AsyncLedger.reinstate)
    verify = _waited(AsyncLedger.verify)
    apply = _waited(AsyncLedger.apply)
    import_lines = _waited(AsyncLedger.import_lines)
    restore = _waited(AsyncLedger.restore)
    why = _waited(AsyncLedger.why)
    entry = _waited(AsyncLedger.entry)
    entries = _waited(AsyncLedger.entries)
    history = _waited(AsyncLedger.history)
    diff = _waited(AsyncLedger.diff)
    compare = _waited(AsyncLedger.compare)
    causes = _waited(AsyncLedger.causes)
    consequences = _waited(AsyncLedger.consequences)
    remediation = _waited(AsyncLedger.remediation)
    impact = _waited(AsyncLedger.impact)
    plan_withdrawal = _waited(AsyncLedger.plan_withdrawal)
    withdraw = _waited(AsyncLedger.withdraw)
    status = _waited(AsyncLedger.status)
    tag = _waited(AsyncLedger.tag)
    tags = _waited(AsyncLedger.tags)
    audit = _waited(AsyncLedger.audit)

    def _wait(self, awaitable: Awaitable[T]) -> T:
        return self._loop.run(awaitable)


class _Loop:
    """An event loop in a thread of its own, which a process that was forked from this one does not have."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ledger", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        """Whether it does not run here, or not any more."""
        return self._closed or os.getpid() != self._pid

    def require(self) -> None:
        """Raises LedgerClosed if it is closed."""
        if self.closed:
            forked = "this ledger was opened before the process forked; open it after the fork"
            raise LedgerClosed("this ledger has been closed here" if self._closed else forked)

    def run(self, awaitable: Awaitable[T]) -> T:
        try:
            self.require()
        except LedgerClosed:
            if inspect.iscoroutine(awaitable):
                awaitable.close()
            raise
        if threading.current_thread() is self._thread:
            raise Malformed("Ledger cannot be used inside its own event loop; use AsyncLedger")
        future = asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def close(self) -> None:
        if self.closed:
            return
        self._closed = True
        asyncio.run_coroutine_threadsafe(_end_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _next_of(lines: AsyncIterator[bytes]) -> list[bytes]:
    """The next lines, so that not each of them changes threads."""
    page: list[bytes] = []
    room_bytes = EXPORT_BYTES
    while room_bytes > 0 and (line := await anext(lines, None)) is not None:
        page.append(line)
        room_bytes -= len(line)
    return page


async def _end_others() -> None:
    """Let what was interrupted come to its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        if not task.cancelling():
            task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()


def open_ledgers(
    store: str | Store = "sqlite:///ledger.db",
    *,
    clock: Clock = system_clock,
    max_lag_s: float = MAX_LAG_S,
    reach_s: float = REACH_S,
    limits: WriteLimits = UNLIMITED,
) -> Ledgers:
    """All ledgers of a store address, for a process that serves them: `async with open_ledgers(…) as ledgers`.

    Raises BadAddress; nothing is connected yet.
    """
    return Ledgers(open_store(store) if isinstance(store, str) else store, clock, max_lag_s, reach_s, limits)


async def migrate(store: str) -> tuple[int | None, int | None]:
    """Bring the place an address names to this version.

    Returns the version of its layout that was found there (0: the place was empty; None: it is not there yet, and the
    first write makes it), and that of this package; None, None for a store that has no layout.
    """
    place = open_store(store)
    try:
        await place.open(create=True)
    finally:
        await place.close()
    return place.schema_found, place.schema_version
