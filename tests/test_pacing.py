"""How many share a commit, and how many may wait for one."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Sequence

import pytest
from serving import WITHIN_S, Service, SlowStore, serving

from ledger import AsyncLedgerClient
from ledger.app import open_ledgers
from ledger.errors import Overloaded
from ledger.model.entry import Head, Sealed
from ledger.service.pacing import (
    GROUP_COMMANDS_MAX,
    GROUP_COMMANDS_MIN,
    TARGET_COMMANDS_MIN,
    Pace,
    Queue,
    WriteLimits,
)
from ledger.service.service import LedgerService
from ledger.store.base import NodeState
from ledger.store.memory import MemoryStore

DOCUMENT = {"op": "record", "kind": "dependency", "content": 1}


# -- the size of a commit ---------------------------------------------------------------------------------------------


def test_commits_that_take_too_long_are_followed_by_smaller_ones() -> None:
    pace = Pace(0.25, may_take_turns=True)
    pace.committed(1_000, 0.5)
    assert pace.room == 500
    pace.committed(500, 0.3)
    assert pace.room == 416
    pace.committed(416, 0.2)
    assert pace.room == 832
    pace.committed(832, 0.2)
    assert pace.room == GROUP_COMMANDS_MAX


def test_where_few_commands_take_long_it_is_not_their_number() -> None:
    """
    a commit of 1 takes 2 s, on a server that has just started    -> the next still takes 250
    """
    pace = Pace(0.25, may_take_turns=True)
    pace.committed(1, 2.0)
    assert pace.room == TARGET_COMMANDS_MIN


def test_who_was_beaten_tries_with_less_and_then_with_more_again() -> None:
    pace = Pace(0.25, may_take_turns=True)
    for _ in range(20):
        pace.was_beaten()
    assert pace.room == GROUP_COMMANDS_MIN
    pace.committed(10, 2.0)
    assert pace.room == GROUP_COMMANDS_MIN, "a slow commit made the next one larger"
    pace.committed(10, 0.01)
    assert pace.room == 2 * GROUP_COMMANDS_MIN


class Server(MemoryStore):
    """Commits in another process, as far as can be seen from here."""

    def __init__(self, commit_s: float, *, is_server: bool = True) -> None:
        super().__init__()
        self.commit_s = commit_s
        self.is_server = is_server
        self.groups: list[int] = []

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        self.groups.append(len(entries))
        await asyncio.sleep(self.commit_s)
        await super().append(ledger, expects, entries, states)


async def groups_of(store: Server, callers: int, work_s: float, commits: int) -> float:
    """The median size of commits of callers each of whom has something to do before he comes again."""
    async with opened(store) as service:

        async def write() -> None:
            while len(store.groups) < commits:
                await service.apply(DOCUMENT | {"key": f"d/{len(store.groups)}/{id(asyncio.current_task())}"})
                time.sleep(work_s)

        await asyncio.gather(*(write() for _ in range(callers)))
    return statistics.median(store.groups[2:commits])


@contextlib.asynccontextmanager
async def opened(store: MemoryStore, limits: WriteLimits | None = None) -> AsyncIterator[LedgerService]:
    async with open_ledgers(store, limits=limits or WriteLimits()) as ledgers:
        yield await ledgers.get("main", create=True)


async def test_many_callers_who_take_their_time_share_commits_by_halves() -> None:
    """A commit takes 5 ms, to hear from 64 again 25: while the one half is committed the others come."""
    assert 24 <= await groups_of(Server(0.005), 64, 0.0004, 20) <= 40


@pytest.mark.parametrize(("callers", "work_s", "is_server"), [(64, 0.0, True), (20, 0.001, True), (64, 0.0004, False)])
async def test_who_is_back_at_once_or_has_few_beside_him_shares_with_all(
    callers: int, work_s: float, is_server: bool
) -> None:
    commit_s = 0.1 if is_server else 0.005
    assert await groups_of(Server(commit_s, is_server=is_server), callers, work_s, 10) >= 0.9 * callers


# -- the queue --------------------------------------------------------------------------------------------------------


def test_a_queue_is_full_by_what_waits_in_it() -> None:
    queue = Queue("main", WriteLimits(queue_commands_max=10, queue_chars_max=1_000))
    queue.admit(9, 100)
    queue.admit(1_000, 800)  # else it could never be recorded beside others
    with pytest.raises(Overloaded, match=r"1,009 commands wait .* 10 may \(LEDGER_QUEUE_COMMANDS_MAX\)") as told:
        queue.admit(1, 0)
    assert told.value.retry
    assert told.value.details == {"ledger": "main", "limit": 10}
    queue.release(1_000, 0)
    queue.admit(0, 200)  # what brings no command is let in
    with pytest.raises(Overloaded, match=r"1,100 characters wait .* \(LEDGER_QUEUE_CHARS_MAX\)"):
        queue.admit(1, 1)
    queue.release(9, 1_100)
    assert (queue.commands, queue.chars) == (0, 0)


async def test_what_is_refused_is_not_recorded_and_the_rest_is() -> None:
    """
    a commit is under way, ten commands may wait    -> of 30 callers ten are answered, 20 are told `overloaded`
    all of that is over                             -> the next is taken
    """
    store = Server(0.05)
    async with opened(store, WriteLimits(queue_commands_max=10)) as service:
        asked = (service.apply(DOCUMENT | {"key": f"d/{number}"}) for number in range(30))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert (len(refused), service.live.head.seq) == (20, 10)
        assert service.waiting == 0
        await service.apply(DOCUMENT | {"key": "d/30"})
        assert service.live.head.seq == 11


async def test_what_failed_or_was_refused_by_a_law_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(Server(0.0), WriteLimits(queue_commands_max=2)) as service:
        for _ in range(5):
            with pytest.raises(Exception, match="nothing is recorded"):
                await service.apply({"op": "revoke", "target": "nothing"})
        monkeypatch.setattr(service.store, "append", None)
        for _ in range(5):
            with pytest.raises(TypeError):
                await service.apply(DOCUMENT | {"key": "d"})
        assert service.waiting == 0


@contextlib.asynccontextmanager
async def full(queue: int) -> AsyncIterator[tuple[SlowStore, Service]]:
    """A service of whose queue every place is taken, until the store is told to `go`."""
    store = SlowStore()
    async with serving(store, queue_commands_max=queue) as service, asyncio.TaskGroup() as writers:
        store.go.set()
        await service.write(DOCUMENT | {"key": "there"})
        store.go.clear()
        for number in range(queue):
            writers.create_task(service.write(DOCUMENT | {"key": f"d/{number}"}))
        async with asyncio.timeout(WITHIN_S):
            while (await service.metrics()).get('ledger_queue_commands{ledger="main"}') != queue:
                await asyncio.sleep(0.01)
        try:
            yield store, service
        finally:
            store.go.set()


async def test_a_service_says_at_every_door_that_it_is_overloaded() -> None:
    async with full(4) as (_, service):
        told = await service.write(DOCUMENT | {"key": "more"})
        assert (told.status_code, told.json()["code"], told.json()["limit"]) == (503, "overloaded", 4)
        assert told.headers["retry-after"] == "1"
        lines = await service.write(DOCUMENT | {"key": "more"}, DOCUMENT | {"key": "and more"}, atomic=False)
        assert (lines.status_code, lines.json()["code"], lines.json()["line"]) == (503, "overloaded", 1)
        mutation = "mutation { record(input: {kind: belief, content: 1}) { ... on Error { code retry } } }"
        answer = (await service.client.post("/graphql", json={"query": mutation})).json()
        assert answer["data"]["record"] == {"code": "overloaded", "retry": True}
        assert (await service.check("there")).json()["verdicts"][0]["state"] == "fresh", "a check was refused"
    assert (await service.ledgers.get("main")).live.head.seq == 5


async def test_a_client_waits_until_there_is_room() -> None:
    async with full(4) as (store, service), AsyncLedgerClient(service.address) as client:
        mine = asyncio.create_task(client.record("belief", 2, key="mine"))
        await asyncio.sleep(0.3)
        assert not mine.done()
        store.go.set()
        assert (await mine).outcome == "recorded"
