"""How many share a commit, how long is waited for them, and how many may wait: from what the last commits took."""

from __future__ import annotations

import time
from typing import NamedTuple

from ledger.errors import Overloaded

GROUP_COMMANDS_MAX = 1_000
"""Commands a commit collects before it stops taking more: 5,000 were no faster on Neo4j. One batch is never split."""

GROUP_COMMANDS_MIN = 10
"""What it takes at least, however often another process was first: they are judged in less time than a commit takes."""

TARGET_S = 0.5
"""What a commit may take, unless told otherwise; of those that take longer the next are smaller. Who waits for an
answer waits for the commit under way and his own."""

TARGET_COMMANDS_MIN = 250
"""But not smaller than this: where so few take that long it is not their number, and fewer would only be slower."""

IN_TURN_CALLERS = 32
IN_TURN_FROM = 0.7
"""So many callers or more of a server take turns, half of them a commit, when it takes this part of a commit's time to
answer them and to hear from them again: that is done for one half while it commits for the other. 64 writers over HTTP
are a fifth faster so. Who is back at once, or has the work of the commit to do too (SQLite), is a fifth slower."""

GATHERS_FOR = 0.25
"""Part of the last commit's time that is waited for those it answered to come again: else the first of 20 writers who
comes back gets a commit of his own, and the other 19 wait for that. One writer never waits."""


class WriteLimits(NamedTuple):
    """What is told about the writes to a ledger. Without bounds for a process that fills its own memory."""

    commit_target_s: float = TARGET_S
    queue_commands_max: int | None = None
    queue_chars_max: int | None = None


UNLIMITED = WriteLimits()


class Pace:
    """The pace of one ledger's commits."""

    def __init__(self, target_s: float, *, may_take_turns: bool) -> None:
        self.target_s = target_s
        self.may_take_turns = may_take_turns
        self.room = GROUP_COMMANDS_MAX
        """Commands that the next commit takes."""
        self._took_s = 0.0  # the last commit
        self._callers = 0  # how many it answered, and those who waited when it ended
        self._answered = 0  # how many it answered
        self._answered_s = 0.0  # when
        self._came = 0  # how many came since
        self._back_s = 0.0  # how long it was, the last time, until as many had come as had been answered

    def was_beaten(self) -> None:
        """Another process was first. The longer a group takes to be judged, the likelier is that again."""
        self.room = max(self.room // 2, GROUP_COMMANDS_MIN)

    def committed(self, commands: int, seconds: float) -> None:
        """So many commands have landed, and their commit took so long."""
        self._took_s = seconds
        if seconds <= self.target_s:
            self.room = min(2 * self.room, GROUP_COMMANDS_MAX)
        else:
            self.room = min(self.room, max(int(commands * self.target_s / seconds), TARGET_COMMANDS_MIN))

    def answered(self, callers: int, waiting: int) -> None:
        """These callers have their answers, while others wait."""
        self._callers = callers + waiting
        self._answered, self._answered_s, self._came = callers, time.perf_counter(), 0

    def came(self) -> None:
        """A caller has something to commit."""
        self._came += 1
        if self._came == self._answered:
            self._back_s = time.perf_counter() - self._answered_s

    def begun(self, waiting: int) -> int:
        """A group is begun, for so many who wait: how many of them may share it."""
        sharing = self.sharing(waiting)
        self._callers = 0
        return sharing

    def sharing(self, waiting: int) -> int:
        """How many callers shall share the next commit: all there are, or half of them."""
        callers = max(self._callers, waiting)
        in_turn = callers >= IN_TURN_CALLERS and self._back_s > IN_TURN_FROM * self._took_s
        return -(-callers // 2) if self.may_take_turns and in_turn else callers

    @property
    def patience_s(self) -> float:
        """How long to wait for those who shall share the next commit."""
        return GATHERS_FOR * self._took_s


class Queue:
    """How much waits to be committed, and how much may."""

    def __init__(self, ledger: str, limits: WriteLimits) -> None:
        self.ledger = ledger
        self.limits = limits
        self.commands = 0
        self.chars = 0

    def admit(self, commands: int, chars: int) -> None:
        """Let so much wait. By what waits already, not by what comes: else what is large would never find room.

        Raises Overloaded.
        """
        if commands:
            limits = self.limits
            _check_room(self.ledger, self.commands, limits.queue_commands_max, "commands", "LEDGER_QUEUE_COMMANDS_MAX")
            _check_room(self.ledger, self.chars, limits.queue_chars_max, "characters", "LEDGER_QUEUE_CHARS_MAX")
        self.commands += commands
        self.chars += chars

    def release(self, commands: int, chars: int) -> None:
        """So much has its answer."""
        self.commands -= commands
        self.chars -= chars


def _check_room(ledger: str, waiting: int, most: int | None, what: str, setting: str) -> None:
    if most is not None and waiting >= most:
        raise Overloaded(
            f"{waiting:,} {what} wait to be recorded in {ledger!r}, and {most:,} may ({setting}); nothing of this was "
            "recorded, send it again in a moment",
            ledger=ledger,
            limit=most,
        )
