"""The memory store under the whole contract."""

import pytest

from ledger.store.memory import MemoryStore
from ledger.testing import LedgerContract, StoreContract
from ledger.testing.desk import StoreFactory, shared


class TestMemory(LedgerContract, StoreContract):
    @pytest.fixture
    def store(self) -> StoreFactory:
        return shared(MemoryStore())
