"""Random histories over a handful of keys, small enough that everything meets everything.

Commands are written with the ledger in sight, so that most of them mean something; each history comes from a seed, and
a failing one is cut down to the commands that matter.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Any

from ledger import AsyncLedger
from ledger.clock import SECOND, format_moment
from ledger.model.canonical import digest_of

START_US = 1_767_225_600 * SECOND  # where ManualClock begins

KEYS = {
    "d/1": "dependency", "d/2": "dependency", "d/3": "dependency", "b/1": "belief", "b/2": "belief",
    "a/1": "approval", "m/1": "mutation", "m/2": "mutation",
}  # fmt: skip
CONTENTS = ["red", "green", {"blue": 1.0}]
DIGESTS = [digest_of(content) for content in CONTENTS]
MODES = ["revoked"] * 4 + ["wrong_from_birth"] * 3 + ["quarantined"] * 2 + ["erased"]

ALL_REFS = [
    *KEYS,
    *(f"{key}@{version}" for key in KEYS for version in range(8)),
    *(f"{key}@{digest}" for key in KEYS for digest in DIGESTS),
    *(f"{key}@{DIGESTS[0][:15]}" for key in KEYS),
    *(f"@{seq}" for seq in range(60)),
    "nobody", "@x", "d/1@sha256:00",
]  # fmt: skip

Step = tuple[float, dict[str, Any]]
"""Seconds that pass, then a command."""


class Author:
    """Writes the next command of a history, knowing what is there."""

    def __init__(self, chance: int | random.Random) -> None:
        """`chance`: where it comes from, or a seed. The less of it, the plainer the command."""
        self.random = random.Random(chance) if isinstance(chance, int) else chance

    def step(self, ledger: AsyncLedger) -> Step:
        seconds = self.random.choice([0, 0, 0, 1, 2, 7])
        if self._chance(0.15):
            commands = [self.single(ledger) for _ in range(self.random.randint(1, 4))]
            return seconds, self._named({"op": "batch", "commands": commands}, 0.2)
        return seconds, self.single(ledger)

    def single(self, ledger: AsyncLedger) -> dict[str, Any]:
        index = ledger._service.live.index
        self.known = [name for name in KEYS if name in index.keys]
        self.head = index.head.seq
        self.now_us = max(index.clock_us, START_US)
        self.named = len(index.requests)
        self.withdrawn = [index.birth[edition] for edition, standing in index.withdrawals.items() if standing]
        shares = {
            self._record: 8, self._keyless: 1, self._again: 4, self._revoke: 4, self._reinstate: 4, self._verify: 3,
        }  # fmt: skip
        command = self.random.choice([write for write, share in shares.items() for _ in range(share)])()
        if self._chance(0.25):
            command["occurred_at"] = self._moment()
        if self._chance(0.3):
            command["actor"] = self.random.choice(["ann", "bob"])
        return self._named(command, 0.15)

    def _record(self) -> dict[str, Any]:
        key = self.random.choice(list(KEYS))
        kind = KEYS[key] if not self._chance(0.02) else "decision"
        return self._flavoured({"op": "record", "kind": kind, "key": key, "content": self.random.choice(CONTENTS)})

    def _again(self) -> dict[str, Any]:
        """A known key once more, with all that can be said on the way."""
        if not self.known:
            return self._record()
        key = self.random.choice(self.known)
        command = {"op": "record", "kind": KEYS[key], "key": key, "content": self.random.choice(CONTENTS)}
        if self._chance(0.4):
            command["amends"] = self.random.randint(1, 4)
        if self._chance(0.15):
            command["expects"] = self.random.randint(0, 4)
        if self._chance(0.1) and "amends" not in command:
            command["restate"] = True
        return self._flavoured(command)

    def _keyless(self) -> dict[str, Any]:
        kind = self.random.choice(["belief", "mutation", "decision", "context"])
        return self._flavoured({"op": "record", "kind": kind, "content": 1})

    def _flavoured(self, command: dict[str, Any]) -> dict[str, Any]:
        if self._chance(0.5) and self.head and "amends" not in command:
            command["because"] = [self._refs(1, 2) for _ in range(self.random.randint(1, 2))]
        if self._chance(0.1):
            command["cites"] = self._refs(1, 2)
        if self._chance(0.15):
            command["supersedes"] = self._refs(1, 1)
        if self._chance(0.12):
            command["valid_until"] = self._moment() if self._chance(0.8) else None
        if self._chance(0.1):
            command["require_fresh"] = True
        return command

    def _revoke(self) -> dict[str, Any]:
        command: dict[str, Any] = {"op": "revoke", "target": self._ref(), "mode": self.random.choice(MODES)}
        if command["mode"] == "revoked" and self._chance(0.3):
            command["effective_at"] = self._moment()
        return command

    def _reinstate(self) -> dict[str, Any]:
        command: dict[str, Any] = {"op": "reinstate", "target": self._ref()}
        if self.withdrawn and self._chance(0.5):
            command["target"] = f"@{self.random.choice(self.withdrawn)}"
        elif self._chance(0.5) and self.head:
            command["lifts"] = [f"@{self.random.randint(1, self.head)}" for _ in range(self.random.randint(1, 2))]
        return command

    def _verify(self) -> dict[str, Any]:
        if self._chance(0.3):
            looks = [[self._ref(), self.random.choice(DIGESTS)] for _ in range(2)]
            return {"op": "verify", "targets": looks}
        return {"op": "verify", "target": self._ref(), "digest": self.random.choice(DIGESTS)}

    def _refs(self, least: int, most: int) -> list[str]:
        return [self._ref() for _ in range(self.random.randint(least, most))]

    def _ref(self) -> str:
        if self._chance(0.03) or not self.head:
            return "nobody"
        if self._chance(0.3):
            return f"@{self.random.randint(1, self.head)}"
        key = self.random.choice(self.known or ["nobody"])
        selector = self.random.choice(["", "", "", f"@{self.random.randint(1, 3)}", f"@{self.random.choice(DIGESTS)}"])
        return key + selector

    def _moment(self) -> str:
        return format_moment(self.now_us + self.random.randint(-20, 10) * SECOND)

    def _named(self, command: dict[str, Any], share: float) -> dict[str, Any]:
        if self._chance(share):
            # A new name, or one that was used: for the same command, or another.
            command["idempotency_key"] = f"i{self.random.randint(1, self.named + 1)}"
        return command

    def _chance(self, share: float) -> bool:
        return self.random.randrange(100) >= 100 - 100 * share


async def cut_down(steps: list[Step], fails: Callable[[list[Step]], Awaitable[bool]]) -> list[Step]:
    """The same failure with fewer steps."""
    shorter = True
    while shorter:
        shorter = False
        for place in range(len(steps)):
            candidate = steps[:place] + steps[place + 1 :]
            if await fails(candidate):
                steps, shorter = candidate, True
                break
    return steps
