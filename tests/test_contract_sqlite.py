"""The SQLite store under the whole contract."""

from pathlib import Path

import pytest

from ledger.store.base import Store
from ledger.store.sqlite import SqliteStore
from ledger.testing import LedgerContract, StoreContract
from ledger.testing.desk import StoreFactory


class TestSqlite(LedgerContract, StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> StoreFactory:
        async def another() -> Store:
            return SqliteStore(tmp_path / "ledger.db")

        return another
