"""What was acknowledged survives: processes and databases are killed with commits in flight, and two write at once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from neo4j_server import Neo4jServer

from ledger import AsyncLedger, Ledger
from ledger.errors import LedgerClosed, Unavailable

WRITER = Path(__file__).with_name("writer.py")
KILLS = 5


def writer(place: tuple[str, str], prefix: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(WRITER), *place, prefix, str(count)], stdout=subprocess.PIPE, text=True
    )


def acks(process: subprocess.Popen[str], limit: int | None = None) -> Iterator[tuple[str, str]]:
    """(key, entry) for each whole line, up to `limit`."""
    assert process.stdout is not None
    for number, line in enumerate(process.stdout, start=1):
        if line.startswith("ack ") and line.endswith("\n"):
            _, key, entry = line.split()
            yield key, entry
        if number == limit:
            return


def check_whole(place: tuple[str, str], acknowledged: dict[str, str]) -> None:
    """Every acknowledged entry is there under its number, none twice, and the audit passes."""
    with Ledger.open(*place, create=False) as ledger:
        entries = {entry.key: entry for entry in ledger.entries(limit=1_000_000, content=False)}
        assert {key: entries[key].id for key in acknowledged} == acknowledged
        everything = ledger.entries(limit=1_000_000, content=False)
        assert [entry.seq for entry in everything] == list(range(1, len(everything) + 1))
        assert len(entries) == len(everything), "a record was written twice"
        report = ledger.audit()
        assert report.ok, report.problems


class Writers:
    """What holds on every store that several processes share. `place`: its address, and a ledger that is not there."""

    def test_kill_9_of_the_writing_process(self, place: tuple[str, str]) -> None:
        """Killed in mid-commit, and run again under the same idempotency keys until all is written."""
        acknowledged: dict[str, str] = {}
        for round_ in range(KILLS):
            process = writer(place, "k", 100_000)
            seen = dict(acks(process, limit=50 + 40 * round_))
            process.kill()
            seen |= dict(acks(process))
            process.wait()
            assert not {key for key in seen.keys() & acknowledged.keys() if seen[key] != acknowledged[key]}
            acknowledged |= seen
            check_whole(place, acknowledged)
        assert len(acknowledged) > 100

    def test_two_processes_write_at_once(self, place: tuple[str, str]) -> None:
        """Both complete, no gap, chain valid; all entries are there."""
        processes = [writer(place, prefix, 150) for prefix in ("a", "b")]
        acknowledged: dict[str, str] = {}
        for process in processes:
            acknowledged |= dict(acks(process))
            assert process.wait() == 0
        assert len(acknowledged) == 300
        check_whole(place, acknowledged)

    def test_a_revocation_by_one_is_seen_by_the_other(self, place: tuple[str, str]) -> None:
        """By the next check on SQLite, within two seconds on Neo4j."""
        with Ledger.open(*place) as one, Ledger.open(*place) as other:
            for number in range(20):
                key = f"policy/{number}"
                one.record("dependency", number, key=key)
                wait_until_fresh = time.monotonic() + 2.0
                while other.check([key]).fresh != [key]:
                    assert time.monotonic() < wait_until_fresh
                one.revoke(key)
                allowed = 0.0 if place[0].startswith("sqlite") else 2.0
                revoked_at = time.monotonic()
                while other.check([key]).fresh:
                    assert time.monotonic() - revoked_at < allowed, "still fresh in the other process"
                    time.sleep(0.01)


class TestSqlite(Writers):
    @pytest.fixture
    def place(self, tmp_path: Path) -> tuple[str, str]:
        return f"sqlite:///{tmp_path}/ledger.db", "main"


@pytest.mark.neo4j
class TestNeo4j(Writers):
    @pytest.fixture
    def place(self, neo4j_uri: str, ledger_name: str) -> tuple[str, str]:
        return neo4j_uri, ledger_name


@pytest.mark.neo4j
@pytest.mark.timeout(900)  # five starts of a server, on a machine that may be busy
def test_kill_9_of_neo4j_under_writers() -> None:
    """The server dies five times under 16 writers, who go on with the same commands when it is back."""
    with Neo4jServer() as server:
        acknowledged = asyncio.run(_write_through_kills(server, "kills"))
        check_whole((server.uri, "kills"), acknowledged)


async def _write_through_kills(server: Neo4jServer, name: str) -> dict[str, str]:
    acknowledged: dict[str, str] = {}
    stop = asyncio.Event()
    async with AsyncLedger.open(server.uri, name) as ledger:

        async def write(worker: int) -> None:
            number = 0
            while not stop.is_set():
                key = f"w{worker}/{number}"
                try:
                    result = await ledger.record("belief", number, key=key, idempotency_key=key)
                except Unavailable:
                    continue  # the same command again
                acknowledged[key] = result.entry
                number += 1

        writers = [asyncio.create_task(write(worker)) for worker in range(16)]
        for _ in range(KILLS):
            before = len(acknowledged)
            while len(acknowledged) < before + 100:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.restart)
        stop.set()
        await asyncio.gather(*writers)
    return acknowledged


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python warns of what this is about
@pytest.mark.parametrize("address", ["memory:", "sqlite"])
def test_a_forked_process_is_told_at_once(tmp_path: Path, address: str) -> None:
    """The thread that would answer is not in it. To close it there does nothing, and it goes on where it was opened."""
    with Ledger.open(address if address == "memory:" else f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.record("dependency", 1, key="p")
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)  # instead of hanging for ever
            uses = (
                lambda: ledger.check(["p"]),
                lambda: ledger.check(["p"], full=True),
                lambda: ledger.record("dependency", 2, key="q"),
                lambda: list(ledger.export()),
            )
            told = []
            for use in uses:
                try:
                    use()
                except LedgerClosed as error:
                    told.append("after the fork" in error.message)
            ledger.close()
            os._exit(0 if told == [True] * len(uses) else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert ledger.check(["p"]).fresh == ["p"]
        assert ledger.record("dependency", 2, key="q").ref == "q@1"
