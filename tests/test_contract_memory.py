"""The memory store under the whole contract."""

import pytest

from ledger.store.base import Store
from ledger.store.memory import MemoryStore
from ledger.testing import LedgerContract, StoreContract
from ledger.testing.desk import StoreFactory


class TestMemory(LedgerContract, StoreContract):
    @pytest.fixture
    def store(self) -> StoreFactory:
        place = MemoryStore()

        async def another() -> Store:
            return place

        return another
