"""States on nodes are those of the index, though nobody records anything: by who takes the lease, and by time alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from ledger import AsyncLedger
from ledger.clock import SECOND, format_moment, system_clock
from ledger.model.entry import Head, Sealed
from ledger.service import mirror
from ledger.store.base import NodeState, StateStore
from ledger.store.memory import MemoryStore
from ledger.testing.clock import ManualClock

WITHIN_S = 10.0
SOON_S = 0.3


@pytest.fixture(autouse=True)
def _gathers_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "_GATHER_S", 0.01)


class ShownStore(MemoryStore, StateStore):
    """Shows states, each with the entry as of which it holds. A lease lasts until it is given back."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: dict[int, tuple[str, str | None]] = {}
        self.as_of: dict[int, int] = {}
        self.upto = 0
        self.holder: str | None = None
        self.written: list[int] = []

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        await super().append(ledger, expects, entries, states)
        self._show(states, entries[-1].entry.seq)

    async def take_lease(self, ledger: str, holder: str, seconds: float) -> int | None:
        if self.holder not in (None, holder):
            return None
        self.holder = holder if seconds else None
        return self.upto

    async def write_states(self, ledger: str, holder: str, states: Sequence[NodeState], upto: int) -> None:
        self.written += [state.seq for state in states]
        self._show(states, upto)
        self.upto = max(self.upto, upto)

    async def states_upto(self, ledger: str) -> int:
        return self.upto

    async def read_states(self, ledger: str) -> tuple[int, dict[int, tuple[str | None, str | None]]]:
        return self.upto, dict(self.shown)

    def _show(self, states: Sequence[NodeState], upto: int) -> None:
        for seq, state, reason in states:
            if self.as_of.get(seq, 0) <= upto:
                self.shown[seq], self.as_of[seq] = (state, reason), upto


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not holds():
            await asyncio.sleep(0.01)


@pytest.fixture
def store() -> ShownStore:
    return ShownStore()


async def test_who_takes_the_lease_writes_what_time_changed_meanwhile(store: ShownStore) -> None:
    """
    p, for ten seconds; d because p; a, twice     -> all states are written up to the head, and everybody goes
    20 s later another process opens the ledger   -> it writes those of p and d, and no other
    """
    clock = ManualClock()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        limit = format_moment(clock.now_us + 10 * SECOND)
        await ledger.record("dependency", 1, key="p", valid_until=limit)
        await ledger.record("decision", 1, key="d", because=[["p"]])
        await ledger.record("belief", 1, key="a")
        await ledger.record("belief", 2, key="a")
    old, new = ("stale", "superseded"), ("fresh", None)
    assert (store.upto, store.holder) == (4, None)
    assert store.shown == {1: new, 2: new, 3: old, 4: new}
    store.written.clear()
    clock.wait(20)
    async with AsyncLedger.open(store, clock=clock) as ledger:
        await until(lambda: store.shown[1] != new)
        assert store.shown == {1: ("stale", "expired"), 2: ("stale", "unsupported"), 3: old, 4: new}
        assert sorted(store.written) == [1, 2]
        assert (await ledger.audit()).ok


async def test_what_expired_before_the_lease_was_free_is_written_too(store: ShownStore) -> None:
    """Seen here by a reader, while another process held the lease and died with it."""
    clock = ManualClock()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        await ledger.record("dependency", 1, key="p", valid_until=format_moment(clock.now_us + 10 * SECOND))
    store.holder = "one who died"
    clock.wait(20)
    async with AsyncLedger.open(store, clock=clock) as ledger:
        assert (await ledger.check(["p"])).withheld[0].reason == "expired"
        store.holder = None
        await until(lambda: store.shown[1] == ("stale", "expired"))


async def test_what_was_restored_without_states_is_shown_though_they_are_written_up_to_the_head(
    store: ShownStore,
) -> None:
    """By another process, which knew nothing of it."""
    async with AsyncLedger.open(store) as ledger:
        await ledger.record("dependency", 1, key="p")
    del store.shown[1]
    async with AsyncLedger.open(store) as ledger:
        ledger._service.mirror.show([1])  # type: ignore[union-attr]
        await until(lambda: store.shown.get(1) == ("fresh", None))


async def test_time_alone_is_written(store: ShownStore) -> None:
    """Nobody asks, and nobody records anything."""
    async with AsyncLedger.open(store) as ledger:
        await ledger.record(
            "dependency", 1, key="p", valid_until=format_moment(system_clock() + round(SOON_S * SECOND))
        )
        await until(lambda: store.upto == 1)
        assert store.shown[1] == ("fresh", None)
        await until(lambda: store.shown[1] == ("stale", "expired"))


async def test_what_a_reader_was_first_to_see_is_written(store: ShownStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """While states were being written: nothing wakes the mirror for it, and no limit is left that would."""
    clock, began, go_on = ManualClock(), asyncio.Event(), asyncio.Event()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        write = store.write_states

        async def slowly(ledger: str, holder: str, states: Sequence[NodeState], upto: int) -> None:
            began.set()
            await go_on.wait()
            await write(ledger, holder, states, upto)

        monkeypatch.setattr(store, "write_states", slowly)
        await ledger.record("dependency", 1, key="p", valid_until=format_moment(clock.now_us + 10 * SECOND))
        await began.wait()
        clock.wait(20)
        assert (await ledger.check(["p"])).withheld[0].reason == "expired"
        go_on.set()
        await until(lambda: store.shown[1] == ("stale", "expired"))
