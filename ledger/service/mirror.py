"""States for people: what the index says of each record, written behind the head to the store's own nodes.

One process a ledger writes, the holder of a lease. Whoever takes the lease over compares every state once, unless they
are written up to the head already: then time alone can have changed any. From then on only what changes is written.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

from ledger.clock import SECOND, Clock
from ledger.errors import StoreError
from ledger.service.live import Live
from ledger.store.base import LEASE_S, NodeState, StateStore
from ledger.validity.verdicts import Reader

_RETRY_S = 0.5
_AT_ONCE = 2_000
_GATHER_S = 0.5
"""How long changes gather before they are written: flushing after each commit took a fifth of an import's time."""


class Mirror:
    """Keeps the states in the store in line with the index, without anyone waiting for it."""

    def __init__(self, store: StateStore, live: Live, clock: Clock, holder: str) -> None:
        self.store = store
        self.live = live
        self.clock = clock
        self.holder = holder
        self._wake = asyncio.Event()
        self._busy = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._holding = False

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run())
        self._wake.set()

    async def stop(self) -> None:
        """Write what is due, if the store answers, and end."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        with contextlib.suppress(StoreError):
            if await self.flush() and self._holding:
                await self.store.take_lease(self.live.name, self.holder, 0)  # the next one need not wait for its end

    def wake(self) -> None:
        """Something changed."""
        self._wake.set()

    def show(self, records: Iterable[int]) -> None:
        """Write the states of these records too: they were appended without."""
        with self.live.durable:
            index = self.live.index
            for seq in records:
                self._mark(index.edition[seq], seq)

    async def flush(self) -> bool:
        """Write all that is due now; False if another process holds the lease."""
        async with self._busy:
            if not self.live.head.seq:
                return True
            written = await self.store.take_lease(self.live.name, self.holder, LEASE_S)
            if written is None:
                self._holding = False
                return False
            if not self._holding:
                await self._compare_all(written)
                self._holding = True
            await self._write_dirty()
            return True

    async def _run(self) -> None:
        while True:
            if not self._wake.is_set():
                await self._rest()
            await asyncio.sleep(_GATHER_S)
            self._wake.clear()
            try:
                done = await self.flush()
            except StoreError:  # it does not answer, or the lease went to another
                done = False
            if not done:
                await asyncio.sleep(_RETRY_S)
                self._wake.set()

    async def _rest(self) -> None:
        """Wait until something changes, or the next limit is over: time wakes nobody."""
        with self.live.durable as index:
            if index.dirty:
                return  # a reader was first to see it
            rest_s = (index.timers[0][0] - self.clock()) / SECOND if index.timers else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest_s):
                await self._wake.wait()

    async def _compare_all(self, written: int) -> None:
        """Find what differs from what was written by others, or before this process was there."""
        if written == self.live.head.seq:
            with self.live.durable as index:
                index.mark_expired()
            return
        _, shown = await self.store.read_states(self.live.name)
        with self.live.durable:
            index = self.live.index
            reader = Reader(index)
            dirty: dict[int, int] = {}
            for seq in range(1, len(index.kind)):
                if not index.is_record(seq):
                    continue
                if shown.get(seq) != reader.state(seq):
                    edition = index.edition[seq]
                    dirty[edition] = min(seq, dirty.get(edition, seq))
            index.dirty = dirty

    async def _write_dirty(self) -> None:
        with self.live.durable:
            index = self.live.index
            index.advance(self.clock())
            dirty, index.dirty = index.dirty or {}, {}
            upto = index.head.seq
        try:
            await self.store.write_states(self.live.name, self.holder, await self._states_of(dirty), upto)
        except BaseException:
            with self.live.durable:
                for edition, since in dirty.items():
                    self._mark(edition, since)
            raise

    async def _states_of(self, dirty: dict[int, int]) -> list[NodeState]:
        """The states of all versions concerned: some thousand at a time, so that checks get their turn between."""
        states: list[NodeState] = []
        editions = list(dirty)
        for start in range(0, len(editions), _AT_ONCE):
            with self.live.durable:
                reader = Reader(index := self.live.index)
                for edition in editions[start : start + _AT_ONCE]:
                    if edition >= len(index.flags):
                        continue  # judged, then undone
                    for seq in index.versions_of_edition(edition):
                        if seq < dirty[edition]:
                            break
                        states.append(NodeState(seq, *reader.state(seq)))
            await asyncio.sleep(0)
        return states

    def _mark(self, edition: int, since: int) -> None:
        dirty = self.live.index.dirty
        assert dirty is not None
        dirty[edition] = min(since, dirty.get(edition, since))
