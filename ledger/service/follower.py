"""Law 9: how this process keeps up with what others write, and what it may answer until it has."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable

from ledger.errors import Behind, ForeignRevision, LedgerError, Locked, Malformed, Unavailable
from ledger.model.entry import Revision, parse_revision
from ledger.service.live import Live
from ledger.service.tags import Tags

MAX_LAG_S = 5.0
"""How long nothing may be heard from the store before nothing is called fresh: ten looks of a Neo4j store missed. Its
pauses for garbage are shorter, its restart takes longer."""

REACH_S = 2.0
"""How long to wait for a revision. A store that answers has told in 2-4 ms: what takes longer is a server that starts,
a leader being elected, or a revision that will never come. Who asks for it usually has a few seconds in all."""

LOOK_S = 0.25
"""How long a read waits when nothing was heard for too long. A process that slept hears in milliseconds; one that is
cut off shall say so, not wait."""

NO_ANSWER = (TimeoutError, Unavailable, Locked)

_NUMBER = re.compile("[1-9][0-9]{0,14}", re.ASCII)


class Follower:
    """Follows the log behind one ledger. Stores that are polled are asked in a task; others are looked at by each read.

    `landed` is called when something was heard.
    """

    def __init__(
        self, live: Live, tags: Tags, landed: Callable[[], Awaitable[None]], max_lag_s: float, reach_s: float
    ) -> None:
        self.live = live
        self.tags = tags
        self.landed = landed
        self.max_lag_s = max_lag_s
        self.reach_s = reach_s
        self._polled = live.store.poll_s is not None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if self.live.store.poll_s is not None:
            # Often enough that one look missed is no lag yet.
            self._task = asyncio.create_task(self._follow(min(self.live.store.poll_s, self.max_lag_s / 4)))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def lag_s(self) -> float:
        """Seconds since all that the store held was known here; 0 for a store that each read looks at itself."""
        return time.monotonic() - self.live.heard_s if self._polled else 0.0

    @property
    def lagging(self) -> bool:
        """Whether nothing was heard for so long that nothing may be called fresh."""
        return self._polled and time.monotonic() - self.live.heard_s > self.max_lag_s

    def is_current(self) -> bool:
        """Whether a read may answer from what is known here, as far as can be seen without waiting."""
        try:
            return not self.lagging and not self.live.behind
        except (Unavailable, Locked):
            return False

    def knows(self, text: str, field: str = "at_least") -> bool:
        """Whether this process has heard of a revision, or of what a tag names. Raises Malformed, ForeignRevision."""
        token = self.tags.known(text)
        if token is None:
            return False
        revision, told = self._parsed(token, field), token if text == token else f"{text} ({token})"
        if revision.ledger != self.live.name:
            raise ForeignRevision(
                f"{told} is a revision of the ledger {revision.ledger!r}, not of {self.live.name!r}",
                field=field,
                revision=token,
            )
        mark = self.live.mark(revision.seq)
        if mark is not None and mark != revision.mark:
            raise ForeignRevision(
                f"{told} is of another history: here entry {revision.seq} has a hash that begins with {mark.hex()}",
                field=field,
                revision=token,
            )
        return mark is not None

    def _parsed(self, token: str, field: str) -> Revision:
        """Raises Malformed; for `@42` it names the revision of entry 42, since the number alone fits any history."""
        try:
            return parse_revision(token, field)
        except Malformed as error:
            name, _, number = token.partition("@")
            seq = int(number) if name in ("", self.live.name) and _NUMBER.fullmatch(number) else 0
            if not seq or self.live.mark(seq) is None:
                raise
            raise Malformed(f"{error}; that of entry {seq} is {self.live.revision_of(seq)}", field=field) from None

    async def reach(self, text: str, field: str = "at_least") -> str:
        """Wait, no longer than `reach_s`, until this process knows of a revision, or of what a tag names; its token.

        Raises Malformed, NoSuchTag, ForeignRevision; Behind when it is not heard of in time.
        """
        token = self.tags.known(text) or await self._tagged(text, field)
        if self.knows(text, field):
            return token
        pause_s = 0.01
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.reach_s):
                while True:
                    with contextlib.suppress(Unavailable, Locked):
                        await self._ask()
                    if self.knows(text, field):
                        return token
                    await asyncio.sleep(pause_s)
                    pause_s = min(2 * pause_s, 0.25)
        raise Behind(
            f"{text} is not known here after {self.reach_s:g} s; this process is at {self.live.revision}",
            revision=self.live.revision,
        )

    async def _tagged(self, text: str, field: str) -> str:
        """What the store says of a tag. Raises NoSuchTag, Malformed; Behind without an answer in `reach_s`."""
        try:
            async with asyncio.timeout(self.reach_s):
                return await self.tags.revision(text, field)
        except NO_ANSWER as error:
            raise self._cut_off() from error

    async def hear(self) -> None:
        """Ask the store for all it holds now. Raises Behind without an answer: of a polled one in `reach_s`."""
        await self._hear(self.reach_s if self._polled else None)

    async def refresh(self) -> None:
        """Make sure that a read may answer. Raises Behind when nothing was heard from the store for too long."""
        if not self.is_current():
            # What a store shows that is looked at directly is worth waiting for, however much it is.
            await self._hear(LOOK_S if self._polled else None)
            if self.lagging:
                raise self._cut_off()

    async def _hear(self, within_s: float | None) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._ask()
        except NO_ANSWER as error:
            raise self._cut_off() from error

    async def _ask(self) -> None:
        before = self.live.head.seq
        await self.live.catch_up()
        if self.live.head.seq > before:
            await self.landed()

    async def _follow(self, poll_s: float) -> None:
        while True:
            await asyncio.sleep(poll_s)
            # An outage is not news to those who read: they go on with what is known, up to `max_lag_s`.
            with contextlib.suppress(LedgerError):
                await self._ask()

    def _cut_off(self) -> Behind:
        return Behind(
            f"the store of {self.live.name!r} does not answer; what is known here is {self.live.revision}",
            revision=self.live.revision,
        )
