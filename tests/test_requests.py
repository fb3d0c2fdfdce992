"""Idempotency keys by fingerprint: an answer is given for the very key, however many share its fingerprint."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import xxhash

from ledger import Ledger
from ledger.clock import SECOND
from ledger.errors import NotFound
from ledger.model.command import parse_command
from ledger.model.entry import Sealed
from ledger.service.judge import Judge
from ledger.store.memory import MemoryStore
from ledger.testing import LedgerContract
from ledger.testing.desk import StoreFactory, shared
from ledger.validity import requests
from ledger.validity.index import Index
from ledger.validity.requests import Requests


def few(text: bytes, seed: int) -> int:
    """A fingerprint that a quarter of all texts have."""
    return xxhash.xxh3_64_intdigest(text, seed) % 4


@pytest.fixture
def hardly_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every key is settled at once, and shares its fingerprint with many."""
    monkeypatch.setattr(requests, "RECENT_MAX", 0)
    monkeypatch.setattr(requests, "fingerprint", few)


@pytest.mark.usefixtures("hardly_any")
class TestFewFingerprints(LedgerContract):
    """The laws hold when nearly every key looks like one that was answered."""

    @pytest.fixture
    def store(self) -> StoreFactory:
        return shared(MemoryStore())


@pytest.mark.usefixtures("hardly_any")
def test_new_keys_that_look_known() -> None:
    store = MemoryStore()
    with Ledger.open(store) as ledger:
        for number in range(50):
            told = ledger.record("belief", number, key=f"b/{number}", idempotency_key=f"i{number}")
            assert not told.replayed
        assert len(ledger._ledger._service.live.index.requests.entries) > 40
    with Ledger.open(store) as ledger:  # from the log
        for number in range(50):
            told = ledger.record("belief", number, key=f"b/{number}", idempotency_key=f"i{number}")
            assert told.replayed
            assert told.entry == f"@{number + 1}"
            other = {"op": "revoke", "target": "b/1", "idempotency_key": f"new {number}"}
            assert not ledger.impact([other]).results[0].replayed


@pytest.mark.usefixtures("hardly_any")
def test_withdrawals_named_by_their_keys() -> None:
    """Long ago, just now, in the same batch, and under a key that only looks like one that is known."""
    with Ledger.open(MemoryStore()) as ledger:
        ledger.record("belief", 1, key="b")
        ledger.revoke("b", idempotency_key="first")
        for number in range(20):
            ledger.record("belief", number, key=f"b/{number}", idempotency_key=f"i{number}")
        with pytest.raises(NotFound):
            ledger.reinstate("b", ["second"])
        assert ledger.reinstate("b", ["first"]).outcome == "reinstated"
        batch = [
            {"op": "revoke", "target": "b", "idempotency_key": "third"},
            {"op": "reinstate", "target": "b", "lifts": ["third"]},
        ]
        assert [one.outcome for one in ledger.apply(batch).results] == ["revoked", "reinstated"]


@pytest.mark.parametrize("seed", range(20))
def test_what_may_answer_holds_what_answers(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = random.Random(seed)
    monkeypatch.setattr(requests, "RECENT_MAX", dice.choice([0, 3, 30]))
    if seed % 2:
        monkeypatch.setattr(requests, "fingerprint", few)
    known, answered, last = Requests(), dict[str, int](), 0
    for _ in range(60):
        names = [f"{seed}/{len(answered) + one}" for one in range(dice.randint(1, 9))]
        if dice.random() < 0.3:
            known.add(names, range(last + 1, last + 1 + len(names)))
        else:
            known.recent.update(zip(names, range(last + 1, last + 1 + len(names)), strict=True))
        answered.update(zip(names, range(last + 1, last + 1 + len(names)), strict=True))
        last += len(names)
        known.settle(last - dice.randint(0, 12))
        assert len(known) == len(answered)
        found = known.find(answered)
        assert all(answered[name] in found[name] for name in answered)
        if not seed % 2:
            assert found == {name: (entry,) for name, entry in answered.items()}
            assert known.find(["no", "body"]) == {}


class Reading(MemoryStore):
    """Counts the entries that are read."""

    entries = 0

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        found = await super().pick(ledger, seqs, content=content)  # `read` comes here too
        self.entries += len(found)
        return found


@pytest.mark.parametrize("before", [False, True], ids=["new", "looks"])
def test_a_batch_sent_again_is_read_once(before: bool) -> None:
    store, size = Reading(), 300
    batch = [record(number) for number in range(size)]
    with Ledger.open(store) as ledger:
        if before:
            ledger.apply([one | {"idempotency_key": None} for one in batch])
        ledger.apply(batch, idempotency_key="all")
        store.entries = 0
        told = ledger.apply(batch, idempotency_key="all")
        assert told.replayed
        assert len(told.results) == size
        assert store.entries <= (1 if before else 2 * size)  # of looks there is one entry


def test_of_a_batch_only_the_batch_remembers_all_entries() -> None:
    index, size = Index(), 300
    index.savepoint()
    judge = Judge(index, SECOND, {})
    judge.judge(parse_command({"op": "batch", "commands": list(map(record, range(size))), "idempotency_key": "all"}))
    assert len(judge.remembered) == size + 1
    assert len(judge.remembered["all"].batch) == size
    assert sum(len(one.others) for one in judge.remembered.values()) < size


def record(number: int) -> dict[str, object]:
    return {"op": "record", "kind": "belief", "key": f"k/{number}", "content": number, "idempotency_key": f"i{number}"}
