"""What several test modules share: real Neo4j servers, each started at most once a session; clients of a service."""

from __future__ import annotations

import contextlib
import functools
import signal
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from neo4j_server import DEFAULT_VERSION, Neo4jServer, available_versions

from tests.clients import KINDS, client_of
from tests.middleman import Middleman, middleman
from tests.serving import Service, hosted

# What hypothesis draws is the same on every machine; `--hypothesis-profile=long` looks further, from another start
# each time; `brief` only looks whether there is anything to be found.
settings.register_profile(
    "same",
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("long", settings.get_profile("same"), derandomize=False, max_examples=5_000)
settings.register_profile(
    "brief", settings.get_profile("same"), max_examples=40, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("same")


def pytest_configure() -> None:
    """A SIGTERM unwinds as Ctrl-C does, so that no Neo4j outlives the tests."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Schemathesis tells its tests apart by their names, and pytest since 9.2 by what it leaves empty."""
    name, _, case = item.name.partition("[")
    if case and item.nodeid.endswith(f"::{name}"):
        item._id = item.id.with_params(case.removesuffix("]"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    twice = [nodeid for nodeid, number in Counter(item.nodeid for item in items).items() if number > 1]
    if twice:  # several processes would run one of them, and not say so
        raise pytest.UsageError(f"several tests are called {twice[0]}")
    for item in items:
        if "neo4j_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.neo4j)


@pytest.fixture(scope="session", autouse=True)
def _checkpoints_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes into the cache of whoever runs them, nor finds what another left there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEDGER_CHECKPOINT_DIR", str(tmp_path_factory.mktemp("checkpoints")))
        yield


@pytest.fixture(scope="session")
def _neo4j_of() -> Iterator[Callable[[str], Neo4jServer]]:
    """The server of a version. It runs to the end: file after file asks for each."""
    with contextlib.ExitStack() as running:
        yield functools.cache(lambda version: running.enter_context(Neo4jServer(version)))


@pytest.fixture(scope="session", params=available_versions() or [DEFAULT_VERSION])
def neo4j_server(request: pytest.FixtureRequest, _neo4j_of: Callable[[str], Neo4jServer]) -> Neo4jServer:
    """A server of each version that the Javas of this machine can run; without Java an error that says so."""
    return _neo4j_of(request.param)


@pytest.fixture
def neo4j_uri(neo4j_server: Neo4jServer) -> str:
    """Where that server answers."""
    return neo4j_server.uri


@pytest.fixture
def ledger_name() -> str:
    """A ledger that nobody has used."""
    return f"test-{uuid.uuid4().hex[:16]}"


@pytest.fixture
def service() -> Iterator[Service]:
    """A service in this process, on a store in memory."""
    with hosted() as served:
        yield served


@pytest.fixture
def man(service: Service) -> Iterator[Middleman]:
    """The line between that service and its client."""
    with middleman(service.port) as between:
        yield between


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """With an event loop, or without."""
    kind: str = request.param
    return kind


@pytest.fixture
def client(kind: str, man: Middleman) -> Iterator[Any]:
    """A client of that kind, at the other end of the line."""
    with client_of(kind, man.address, timeout_s=20) as opened:
        yield opened
