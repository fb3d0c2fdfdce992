"""Hold a store to the laws: subclass `LedgerContract` and `StoreContract`, and give them a `store` fixture.

    class TestMyStore(LedgerContract, StoreContract):
        @pytest.fixture
        def store(self, tmp_path):
            async def another() -> Store:
                return MyStore(tmp_path / "place")
            return another

`store` gives unopened stores, all on one place, each call as another process would open it. The place need
not be empty: every test works on ledgers with names of its own. pytest and pytest-asyncio must be there.
"""

import pytest

pytest.register_assert_rewrite(
    "ledger.testing.contract", "ledger.testing.desk", "ledger.testing.laws", "ledger.testing.log"
)

from ledger.testing.clock import ManualClock  # noqa: E402
from ledger.testing.contract import LedgerContract, StateStoreContract, StoreContract  # noqa: E402
from ledger.testing.desk import Desk  # noqa: E402
from ledger.testing.page import Page  # noqa: E402

__all__ = ["Desk", "LedgerContract", "ManualClock", "Page", "StateStoreContract", "StoreContract"]
