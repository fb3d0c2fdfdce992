"""A dry run is a store like any other, on top of one that stays as it is."""

import asyncio

import pytest

from ledger import AsyncLedger
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.rehearsal import Rehearsal
from ledger.testing import LedgerContract, StoreContract
from ledger.testing.desk import StoreFactory
from ledger.testing.line import Line


class TestRehearsal(LedgerContract, StoreContract):
    @pytest.fixture
    def store(self) -> StoreFactory:
        place = Rehearsal(MemoryStore())

        async def another() -> Store:
            return place

        return another


async def test_it_judges_on_top_of_what_is_there_and_leaves_it_alone() -> None:
    """
    record  dependency doc 1                  -> @1 fresh                 (beneath)
    record  belief b because doc              -> @2 fresh                 (beneath)
    revoke  doc, erased                       -> @3 fells doc@1 and b@1   (above)
    record  dependency other                  -> @4 fresh                 (above)
    """
    beneath = MemoryStore()
    async with AsyncLedger.open(beneath) as ledger:
        await ledger.record("dependency", {"text": 1}, key="doc")
        await ledger.record("belief", True, key="b", because=[["doc"]])
        async with AsyncLedger.open(beneath, dry_run=True) as trial:
            assert (await trial.revoke("doc", "erased")).fell.count == 2
            assert (await trial.record("dependency", 1, key="other", because=[["b"]])).entry == "@4"
            assert (await trial.entry("doc")).content is None
            assert [entry.id for entry in await trial.entries()] == ["@1", "@2", "@3", "@4"]
            assert [entry.id for entry in await trial.entries(after=1, limit=2)] == ["@2", "@3"]
            assert (await trial.audit()).ok
        assert (await ledger.check(["doc", "b"])).fresh == ["doc", "b"]
        assert (await ledger.entry("doc")).content == {"text": 1}
        assert (await ledger.status()).head == 2


async def test_large_contents_beneath_leave_no_gap_before_what_is_above() -> None:
    """`read` ends early among those beneath: the next page has the rest of them, then what was written above."""
    beneath = MemoryStore()
    async with AsyncLedger.open(beneath) as ledger:
        for _ in range(10):
            await ledger.record("belief", "x" * 1_000_000)
        async with AsyncLedger.open(beneath, dry_run=True) as trial:
            await trial.record("belief", "above")
            assert len([line async for line in trial.export()]) == 11
            assert (await trial.audit()).ok


async def test_on_a_store_that_is_polled_it_hears_of_others_until_it_is_cut_off() -> None:
    beneath = MemoryStore()
    line = Line(beneath, poll_s=0.02)
    async with AsyncLedger.open(beneath) as ledger:
        await ledger.record("belief", True, key="b")
        async with AsyncLedger.open(line, dry_run=True, max_lag_s=0.2) as trial:
            assert (await trial.check(["b"])).fresh == ["b"]
            await ledger.revoke("b")
            async with asyncio.timeout(5):
                while (await trial.check(["b"])).fresh:
                    await asyncio.sleep(0.02)
            line.cut = True
            await asyncio.sleep(0.3)
            assert (await trial.check(["b"])).withheld[0].reason == "behind"
            line.cut = False
