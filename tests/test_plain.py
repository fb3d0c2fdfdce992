"""The short way of judging comes to what the long way comes to, to the last byte of the log."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pytest
from histories import Author

from ledger import AsyncLedger
from ledger.errors import Refused
from ledger.model.result import BatchResult
from ledger.service import judge
from ledger.store.memory import MemoryStore
from ledger.testing.clock import ManualClock

REFUSED = [
    {"because": [["nobody"]]},
    {"because": [["@999"]]},
    {"because": [["@3"]]},  # an event
    {"because": [["a"], ["a", "@999"]]},
    {"because": [["a@sha256:00000000"]]},
]
PLAIN: list[dict[str, Any]] = [
    {"because": [["a"], ["a", "b"]]},
    {"because": [["b"]]},  # revoked
    {"because": [["b"], ["a"]]},
    {"because": [["a", "a@1", "@1"]]},
    {"expects": 0, "actor": "somebody", "occurred_at": "2020-01-01T00:00:00Z"},
    {"key": None},
]


async def log_of(commands: list[tuple[float, dict[str, Any]]]) -> tuple[list[Any], list[bytes]]:
    """What each command is answered, and the hashes of the log it made."""
    store, clock, answers = MemoryStore(), ManualClock(), list[Any]()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        for seconds, command in commands:
            clock.wait(seconds)
            try:
                answers.append(await ledger._service.apply(command))
            except Refused as refused:
                answers.append(refused.as_dict())
    return answers, [sealed.hash for sealed in await store.read("main", 0, 10_000)]


async def both_ways(
    commands: list[tuple[float, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Any], int]:
    """The answers, once they are the same both ways; and how many commands went the short way."""
    short, went = judge.record_plain, 0

    def counted(*given: Any) -> Any:
        nonlocal went
        went += 1
        return short(*given)

    with monkeypatch.context() as patch:
        patch.setattr(judge, "record_plain", counted)
        found = await log_of(commands)
        patch.setattr(judge, "is_plain", lambda *_: False)
        assert await log_of(commands) == found
    return found[0], went


def record(**more: Any) -> tuple[float, dict[str, Any]]:
    return 1.0, {"op": "record", "kind": "belief", "key": "new", "content": 1} | more


async def test_what_is_new_comes_to_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [record(key="a"), record(key="b", content=2), (1.0, {"op": "revoke", "target": "b"})]
    answers, went = await both_ways(
        [
            *before,
            *(
                record(key=f"n/{number}", **more) if "key" not in more else record(**more)
                for number, more in enumerate([*PLAIN, *REFUSED])
            ),
        ],
        monkeypatch,
    )
    assert went == 2 + len(PLAIN) + len(REFUSED)
    recorded, refused = answers[3 : 3 + len(PLAIN)], answers[3 + len(PLAIN) :]
    assert all(isinstance(one, BatchResult) and one.results[0].outcome == "recorded" for one in recorded)
    assert [one.results[0].verdict.state for one in recorded] == ["fresh", "stale", "fresh", "fresh", "fresh", "fresh"]
    assert [one["code"] for one in refused] == ["not_found", "not_found", "not_a_premise", "not_found", "not_found"]


@pytest.mark.parametrize("block", range(2))
def test_histories_come_to_the_same_both_ways(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 histories of 40 steps, idempotency keys that come again among them."""

    async def histories() -> int:
        went = 0
        for seed in range(block * 50, block * 50 + 50):
            author, dice = Author(seed), random.Random(seed)
            async with AsyncLedger.open("memory:", clock=ManualClock()) as ledger:
                steps = []
                for _ in range(40):
                    steps.append(author.step(ledger))
                    if dice.random() < 0.1:
                        steps.append(dice.choice(steps))
                    with contextlib.suppress(Refused):
                        await ledger._service.apply(steps[-1][1])
            went += (await both_ways(steps, monkeypatch))[1]
        return went

    assert asyncio.run(histories()) > 200
