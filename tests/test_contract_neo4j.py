"""The Neo4j store under the whole contract."""

import pytest

from ledger.store.base import Store
from ledger.store.neo4j import Neo4jStore
from ledger.testing import LedgerContract, StateStoreContract, StoreContract
from ledger.testing.desk import StoreFactory


@pytest.mark.neo4j
class TestNeo4j(LedgerContract, StoreContract, StateStoreContract):
    @pytest.fixture
    def store(self, neo4j_uri: str) -> StoreFactory:
        async def another() -> Store:
            return Neo4jStore(neo4j_uri)

        return another
