"""A dry run is a store like any other, on top of one that stays as it is."""

import pytest

from ledger import AsyncLedger
from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.store.rehearsal import Rehearsal
from ledger.testing import LedgerContract, StoreContract
from ledger.testing.desk import StoreFactory


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
