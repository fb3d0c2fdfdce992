"""What several test modules share: real Neo4j servers, each started at most once a session."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from neo4j_server import DEFAULT_VERSION, Neo4jServer, available_versions


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "neo4j_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.neo4j)


@pytest.fixture(scope="session", params=available_versions() or [DEFAULT_VERSION])
def neo4j_server(request: pytest.FixtureRequest) -> Iterator[Neo4jServer]:
    """A server of each version that the Javas of this machine can run; without Java an error that says so."""
    with Neo4jServer(request.param) as server:
        yield server


@pytest.fixture
def neo4j_uri(neo4j_server: Neo4jServer) -> str:
    """Where that server answers."""
    return neo4j_server.uri


@pytest.fixture
def ledger_name() -> str:
    """A ledger that nobody has used."""
    return f"test-{uuid.uuid4().hex[:16]}"
