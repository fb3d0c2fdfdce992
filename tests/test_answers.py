"""Checks put together from what was said before are what a check says, whatever happened in between."""

from __future__ import annotations

import contextlib
import json
import random

import pytest

from ledger import AsyncLedger
from ledger.errors import Refused
from ledger.service import answers
from ledger.service.service import LedgerService
from ledger.testing import ManualClock
from tests.histories import ALL_REFS, Author


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("said_max", [answers.SAID_MAX, 7])
async def test_they_are_the_same_in_random_histories(seed: int, said_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SAID_MAX", said_max)
    chance, clock = random.Random(seed), ManualClock()
    async with AsyncLedger.open("memory:", clock=clock) as ledger:
        author = Author(seed)
        for _ in range(60):
            seconds, command = author.step(ledger)
            clock.wait(seconds)
            with contextlib.suppress(Refused):
                await ledger._service.apply(command)
            for _ in range(3):
                await _compare(ledger._service, chance.choices(ALL_REFS, k=chance.randint(0, 12)), None)
            await _compare(ledger._service, chance.choices(ALL_REFS, k=5), chance.choice([0.0, 3.0]))


async def _compare(service: LedgerService, refs: list[str], max_age_s: float | None) -> None:
    report = await service.check(refs, max_age_s)
    answer = service.answer_now(refs, max_age_s)
    assert answer is not None
    assert json.loads(answer.body) == report.as_dict()
    assert len(answer.verdicts) == len(refs)
    labels = [(verdict.state, verdict.reason) for verdict in report.verdicts]
    assert answer.others() == [label for label in labels if label != ("fresh", None)]


async def test_what_was_said_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "SAID_MAX", 100)
    async with AsyncLedger.open("memory:") as ledger:
        await ledger.record("belief", 1, key="a")
        for number in range(1_000):
            ledger._service.answer_now(["a", f"invented/{number}"])
        assert len(ledger._service.live.index.memo["said"].json) <= 100


async def test_time_alone_changes_an_answer() -> None:
    clock = ManualClock()
    async with AsyncLedger.open("memory:", clock=clock) as ledger:
        await ledger.record("belief", 1, key="a", valid_until="2026-01-01T00:01:00Z")
        assert b'"fresh"' in (await ledger._service.answer(["a"])).body
        clock.wait(61)
        assert b'"expired"' in (await ledger._service.answer(["a"])).body
