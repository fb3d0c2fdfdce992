"""The change feed: what each batch did, told to those who watch, and told the same to those who come later.

A change is made of the entries of its batch alone. Who resumes reads the log from the store, a page at a time and as
slowly as he likes, until he has all that is known here; from then on he takes from a ring that all watchers share.
Nothing is kept for one of them, so none can fill the memory: who falls behind the ring is sent back to the log.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence

from ledger.clock import format_moment
from ledger.errors import LedgerClosed, LedgerError, SlowReader
from ledger.model.change import CHANGE_FIRST_MAX, Change, Mention, Mentions, Turn, Turns
from ledger.model.entry import Entry, Event, Expiry, Record, parse_revision, revision_token
from ledger.service.follower import Follower
from ledger.service.live import Live
from ledger.service.stretches import stretches_behind

RING_CHANGES = 1_000
"""How far a watcher may fall behind: a few seconds of single writes, or minutes of what people do."""

LOOK_EVERY_S = 0.1
"""How often a watched ledger looks for what other processes wrote, where reads look for themselves: 5-8 µs a look."""

_LISTS = {"revocation": "withdrawn", "reinstatement": "reinstated", "expiry": "expired"}


class Feed:
    """Tells the changes of one ledger. While nobody watches it does nothing."""

    def __init__(self, live: Live, follower: Follower) -> None:
        self.live = live
        self.follower = follower
        self._ring: deque[Change] = deque(maxlen=RING_CHANGES)
        self._told = 0
        self._watchers = 0
        self._closed = False
        self._news = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None
        live.listener = self._tell

    def changes(self, after: str | None) -> AsyncGenerator[Change]:
        """Changes behind a revision; None: behind what is known here at this moment."""
        return self._changes(after, self.live.head.seq)

    def close(self) -> None:
        """End every watcher; he may go on elsewhere."""
        self._closed = True
        self._wake()
        self._look_no_more()

    async def _changes(self, after: str | None, seq: int) -> AsyncGenerator[Change]:
        if after is not None:
            token = await self.follower.reach(after, "after")
            seq = await self._end_before(parse_revision(token, "after").seq)
        while seq < self.live.head.seq:
            behind = stretches_behind(self.live.store, self.live.name, seq, self.live.head.seq)
            async with contextlib.aclosing(behind) as stretches:
                async for stretch in stretches:
                    for batch in _batches(stretch.entries):
                        yield self._change_of(batch)
                    seq = stretch.entries[-1].seq
        # Nothing is awaited from the look at the head to here: what is taken in next is told through the ring.
        async with contextlib.aclosing(self._live_changes(seq)) as changes:
            async for change in changes:
                yield change

    async def _end_before(self, seq: int) -> int:
        """Where to resume: a batch that was seen in part is told whole."""
        following = await self.live.store.read(self.live.name, seq, 1)
        return following[0].entry.batch - 1 if following and following[0].entry.batch <= seq else seq

    async def _live_changes(self, seq: int) -> AsyncGenerator[Change]:
        place, revision = self._told, revision_token(self.live.name, seq, self.live.mark(seq) or b"")
        self._watchers += 1
        self._look_for_others()
        try:
            while not self._closed:
                waiting = self._told - place
                if waiting > len(self._ring):
                    raise SlowReader(
                        f"{waiting:,} changes came while this reader took none; resume after {revision}",
                        revision=revision,
                    )
                if waiting:
                    change = self._ring[-waiting]
                    place, revision = place + 1, change.revision
                    yield change
                else:
                    await self._news.wait()
            raise LedgerClosed(f"{self.live.name!r} has been closed here; resume after {revision}", revision=revision)
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._ring.clear()
                self._look_no_more()

    def _tell(self, entries: Sequence[Entry]) -> None:
        """Whole batches were taken in."""
        if self._watchers:
            for batch in _batches(entries):
                self._ring.append(self._change_of(batch))
                self._told += 1
            self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    def _look_for_others(self) -> None:
        if self.live.store.poll_s is None and self._looking is None:
            self._looking = asyncio.create_task(self._look())

    def _look_no_more(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(LedgerError):
                await self.follower.refresh()
            await asyncio.sleep(LOOK_EVERY_S)

    def _change_of(self, batch: Sequence[Entry]) -> Change:
        return change_of(batch, self.live.revision_of(batch[-1].seq), self.live.name_of)


def change_of(batch: Sequence[Entry], revision: str, name_of: Callable[[int], str]) -> Change:
    """What a batch did, from its entries; `name_of` says how people name an entry, which never changes."""
    listed: dict[str, list[Mention]] = {"recorded": [], "noted": [], **{name: [] for name in _LISTS.values()}}
    counts = dict.fromkeys(listed, 0)
    fell, revived = _Turns(name_of), _Turns(name_of)
    for entry in batch:
        name = "recorded" if isinstance(entry, Record) else _LISTS.get(entry.kind, "noted")
        for about in _abouts(entry):
            counts[name] += 1
            if len(listed[name]) < CHANGE_FIRST_MAX:
                listed[name].append(Mention(f"@{entry.seq}", entry.kind, name_of(about)))
        if isinstance(entry, Expiry):
            fell.add(entry.seq, entry.fell, entry.fell_first)
        for request in entry.requests:
            fell.add(entry.seq, request.fell, request.fell_first)
            revived.add(entry.seq, request.revived, request.revived_first)
    return Change(
        revision=revision,
        recorded_at=format_moment(batch[-1].recorded_at_us),
        **{name: Mentions(counts[name], tuple(mentions)) for name, mentions in listed.items()},
        fell=fell.told(),
        revived=revived.told(),
    )


class _Turns:
    """Gathers what fell, or what revived."""

    def __init__(self, name_of: Callable[[int], str]) -> None:
        self.name_of = name_of
        self.count = 0
        self.first: list[Turn] = []

    def add(self, cause: int, count: int, first: Iterable[int]) -> None:
        self.count += count
        room = CHANGE_FIRST_MAX - len(self.first)
        for seq in itertools.islice(first, room):
            self.first.append(Turn(f"@{seq}", self.name_of(seq), f"@{cause}"))

    def told(self) -> Turns:
        return Turns(self.count, tuple(self.first))


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    for _, batch in itertools.groupby(entries, lambda entry: entry.batch):
        yield list(batch)


def _abouts(entry: Entry) -> Iterable[int]:
    """The record itself, or what the event acts on."""
    return dict.fromkeys(entry.targets) if isinstance(entry, Event) else (entry.seq,)
