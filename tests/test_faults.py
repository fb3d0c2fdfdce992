"""Whatever the store does: nothing acknowledged is lost, nothing written twice, nothing stale called fresh."""

from __future__ import annotations

import asyncio
import random

import pytest
from faulty import FaultyStore

from ledger import AsyncLedger
from ledger.errors import LedgerError, Refused
from ledger.service import committer


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committer, "UNAVAILABLE_AFTER_S", 0.3)
    monkeypatch.setattr(committer, "FIRST_PAUSE_S", 0.001)


@pytest.mark.parametrize("seed", range(25))
def test_writers_through_faults(seed: int) -> None:
    """Eight writers through refusals, lost acknowledgements and intruders; each repeats what was not answered."""
    store = FaultyStore(seed)
    acknowledged = asyncio.run(_write(store, seed))
    asyncio.run(_check(store, acknowledged))
    assert store.faults


async def _write(store: FaultyStore, seed: int) -> dict[str, str]:
    acknowledged: dict[str, str] = {}
    store.healthy = True
    async with AsyncLedger.open(store, "main") as ledger:
        store.healthy = False
        chance = random.Random(seed)

        async def write(worker: int) -> None:
            for number in range(30):
                key = f"w{worker}/{number}"
                because = [[chance.choice(list(acknowledged))]] if acknowledged and number % 2 else []
                while key not in acknowledged:
                    try:
                        result = await ledger.record("belief", number, key=key, because=because, idempotency_key=key)
                    except Refused:
                        raise
                    except LedgerError as error:
                        assert error.retry, error
                        await asyncio.sleep(0)
                        continue
                    acknowledged[key] = result.entry
                if number == 6:
                    await _revoke_and_check(ledger, key)

        await asyncio.gather(*(write(worker) for worker in range(8)))
        store.healthy = True
    return acknowledged


async def _revoke_and_check(ledger: AsyncLedger, key: str) -> None:
    """Law 9: once acknowledged, no check here answers fresh."""
    while True:
        try:
            await ledger.revoke(key, idempotency_key=f"revoke {key}")
            break
        except LedgerError as error:
            assert error.retry, error
    while True:
        try:
            assert (await ledger.check([key])).fresh == []
            return
        except LedgerError as error:
            assert error.retry, error


async def _check(store: FaultyStore, acknowledged: dict[str, str]) -> None:
    async with AsyncLedger.open(store, "main", create=False) as ledger:
        entries = await ledger.entries(limit=100_000)
        records = [entry for entry in entries if entry.key is not None]
        assert {entry.key: entry.id for entry in records} == acknowledged
        assert len(records) == len(acknowledged), "a record was written twice"
        assert sum(entry.kind == "revocation" for entry in entries) == 8
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        report = await ledger.audit()
        assert report.ok, report.problems
