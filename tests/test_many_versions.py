"""Keys with many versions, conclusions with many justifications: what is old is found without a walk past all."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from ledger import Ledger
from ledger.clock import SECOND
from ledger.errors import Ambiguous
from ledger.model.canonical import digest_of
from ledger.model.command import parse_command
from ledger.model.entry import Attempt, Belief, Entry, Revocation, Verification
from ledger.service.judge import Judge
from ledger.service.laws import Erasure, erasure
from ledger.service.withdrawal import withdrawable
from ledger.validity.building import apply_all
from ledger.validity.checkpoint import restored, snapshot
from ledger.validity.index import Index
from ledger.validity.oracle import Oracle
from ledger.validity.past import Past
from ledger.validity.resolve import resolve
from ledger.validity.rolls import FEW, Roll
from ledger.validity.verdicts import Reader

MANY = 3 * FEW


def versions(first: int, count: int, contents: int, key: str = "a") -> list[Entry]:
    """More versions of a key, that many contents in turn; every fourth amends the one before."""
    return [
        Belief(
            seq=seq,
            batch=seq,
            recorded_at_us=seq * SECOND,
            key=key,
            version=seq,
            digest=digest_of(seq % contents),
            amends=seq - 1 if seq % 4 == 0 else None,
        )
        for seq in range(first, first + count)
    ]


def refs(contents: int, end: int) -> list[str]:
    asked = [*range(0, end + 3, 31), *range(end - 3, end + 3)]
    digests = {digest_of(number % contents) for number in asked}
    return ["a", *(f"a@{n}" for n in asked), *(f"a@{one}" for one in digests), *(f"a@{one[:16]}" for one in digests)]


def assert_right(index: Index, entries: list[Entry], contents: int, dice: random.Random) -> None:
    """Now, and as of some pasts."""
    for end in {len(entries), 2, dice.randrange(1, len(entries))}:
        expected, clock_us = Oracle(entries[:end]), end * SECOND
        reader = Reader(index) if end == len(entries) else Reader(Past(index, end, clock_us))
        for ref in refs(contents, end):
            assert reader.verdict(ref) == expected.verdict(ref, clock_us), (end, ref)


@pytest.mark.parametrize("contents", [3, 10 * MANY])
def test_old_versions_are_found_through_what_is_undone_and_what_comes_instead(contents: int) -> None:
    """
    many versions of a, the last of them undone, others in their place, more in bulk
        -> each is found by number and digest, now and then, as the laws say
    """
    dice, index, entries = random.Random(1), Index(), versions(1, MANY, contents)
    for entry in entries:
        index.apply(entry)
    assert_right(index, entries, contents, dice)
    for count, kept in ((1, 1), (40, 7), (2 * MANY, 3)):
        before = index.savepoint()
        tried = versions(len(entries) + 1, count, contents - 1)
        for entry in tried:
            index.apply(entry)
        assert_right(index, entries + tried, contents, dice)
        index.rollback(before)
        index.release()
        entries += versions(len(entries) + 1, kept, contents)
        apply_all(index, entries[-kept:])
        assert_right(index, entries, contents, dice)
    entries += versions(len(entries) + 1, 300, contents)
    apply_all(index, entries[-300:])
    assert_right(index, entries, contents, dice)
    form, *columns = snapshot(index).parts()
    assert_right(restored(form, memoryview(b"".join(columns))), entries, contents, dice)


def test_what_is_undone_goes_from_every_key_that_was_asked() -> None:
    """
    a and b have many versions; old ones of both are asked for, one before and one after more came; all that is undone
        -> neither knows what is undone
    """
    index, marks = Index(), []
    for seq in range(1, 8 * MANY):
        if seq % MANY == 0:
            marks.append(index.savepoint())
            for key in range(2) if len(marks) % 2 else range(1):
                index.rolls.of(key)
        version, digest = (seq + 1) // 2, digest_of(seq)
        index.apply(
            Belief(seq=seq, batch=seq, recorded_at_us=SECOND, key="ab"[seq % 2], version=version, digest=digest)
        )
    for mark in reversed(marks):
        index.rollback(mark)
        for roll in index.rolls.values():
            assert not roll.seqs or roll.seqs[-1] <= index.upto
            assert roll.entries <= index.upto + 1


def test_a_short_digest_that_fits_two_contents_of_many_is_ambiguous() -> None:
    index = Index()
    twin = digest_of(0)[:-1] + ("0" if digest_of(0)[-1] != "0" else "1")
    for entry in versions(1, MANY, 10 * MANY):
        index.apply(entry)
    last = MANY + 1
    both = {"batch": last, "recorded_at_us": last * SECOND, "key": "a", "version": last}
    index.apply(Belief(seq=last, digest=digest_of(0), **both))
    assert resolve(index, f"a@{digest_of(0)[:20]}") == last
    index.apply(Belief(seq=last + 1, digest=twin, **both | {"batch": last + 1, "version": last + 1}))
    with pytest.raises(Ambiguous):
        resolve(index, f"a@{digest_of(0)[:20]}")
    assert resolve(index, f"a@{digest_of(0)}") == last
    assert resolve(Past(index, last, last * SECOND), f"a@{digest_of(0)[:20]}") == last


def test_amendments_in_bulk_of_what_is_condemned_are_condemned_too() -> None:
    """
    a is quarantined, and amended hundreds of times, one by one or built    -> each content is condemned
    """
    amended: dict[str, Any] = {"key": "a", "recorded_at_us": SECOND}
    entries: list[Entry] = [
        Belief(seq=1, batch=1, digest=digest_of(1), **amended),
        Revocation(seq=2, batch=2, recorded_at_us=SECOND, targets=(1,), mode="quarantined"),
    ]
    for seq in range(3, 300):
        before = 1 if seq == 3 else seq - 1
        digest = digest_of(seq % 7)
        entries.append(Belief(seq=seq, batch=seq, version=seq - 1, digest=digest, amends=before, **amended))
    built, applied = Index(), Index()
    apply_all(built, entries)
    for entry in entries:
        applied.apply(entry)
    assert built.condemned == applied.condemned
    assert len(built.condemned) == 7


# --- what it costs ------------------------------------------------------------------------------------------------


def fastest(do: Callable[[], object]) -> float:
    """Seconds, of five times."""
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        do()
        taken.append(time.perf_counter() - began)
    return min(taken)


def test_old_versions_cost_no_walk() -> None:
    """20,000 versions: 100 references to old ones take less than to walk past all versions ten times."""
    index = Index()
    for entry in versions(1, 20_000, 100_000):
        index.apply(entry)
    walk = fastest(lambda: list(index.versions(0)))
    then = Past(index, 2, 2 * SECOND)
    for reader, asked in (
        (Reader(index), [f"a@{number}" for number in range(1, 101)]),
        (Reader(index), [f"a@{digest_of(number)}" for number in range(1, 101)]),
        (Reader(index), [f"a@{digest_of(number)[:17]}" for number in range(1, 101)]),
        (Reader(then), ["a", "a@1", "a@2", f"a@{digest_of(1)}"] * 25),
    ):
        assert fastest(lambda reader=reader, asked=asked: list(map(reader.verdict, asked))) < 10 * walk  # type: ignore[misc]


def test_one_condemned_version_makes_no_write_slow() -> None:
    """20,000 versions, the first is quarantined: a new version takes less than a walk past all versions."""
    with Ledger.open("memory:") as ledger:
        ledger.apply([{"op": "record", "kind": "dependency", "key": "a", "content": n} for n in range(20_000)])
        ledger.revoke("a@1", mode="quarantined")
        assert ledger.record("dependency", 0, key="a").outcome == "condemned"
        news = iter(range(20_000, 30_000))

        def write() -> None:
            ledger.apply(
                [{"op": "record", "kind": "dependency", "key": "a", "content": next(news)} for _ in range(100)]
            )

        index = ledger._ledger._service.live.index
        assert fastest(write) < 40 * fastest(lambda: list(index.versions(0)))


def test_support_is_compared_with_few_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A conclusion with 500 justifications is reached again, from new grounds and from known ones."""
    looked, premises = 0, Index.premises

    def counted(index: Index, row: int) -> Any:
        nonlocal looked
        looked += 1
        return premises(index, row)

    with Ledger.open("memory:") as ledger:
        for number in range(500):
            ledger.record("dependency", 1, key=f"d/{number}")
            ledger.record("belief", 1, key="b", because=[[f"d/{number}"]])
        ledger.record("dependency", 1, key="new")
        monkeypatch.setattr(Index, "premises", counted)
        assert ledger.record("belief", 1, key="b", because=[["d/3"]]).outcome == "repeated"
        assert ledger.record("belief", 1, key="b", because=[["new"]]).outcome == "justified"
        assert ledger.record("belief", 1, key="b", because=[["new", "d/3"]]).outcome == "justified"
        assert ledger.record("belief", 1, key="b", because=[["d/3", "new"]]).outcome == "repeated"
    assert looked < 50


def test_what_supersedes_many_keys_notes_them_once() -> None:
    index, many = Index(), 300
    for seq in range(1, many + 1):
        index.apply(Belief(seq=seq, batch=seq, recorded_at_us=seq, key=f"o/{seq}", version=1, digest=digest_of(seq)))
    before = index.savepoint()
    targets = tuple(range(1, many + 1))
    index.apply(
        Belief(
            seq=many + 1,
            batch=many + 1,
            recorded_at_us=many + 1,
            key="new",
            version=1,
            digest=digest_of(0),
            supersedes=targets,
        )
    )
    assert index._journal is not None
    assert sum(container is index.supersedes for container, _, _ in index._journal) == 1
    assert len(index.supersedes[many]) == many
    assert not any(index.valid[:many])
    index.rollback(before)
    assert not index.supersedes
    assert all(index.valid)


def naive_erasure(index: Index, target: int) -> Erasure:
    """Law 5 as it reads: past all versions of the key, twice."""
    edition, every = index.edition[target], list(index.versions(index.key_of[index.edition[target]]))
    contents = {index.digest_at(seq) for seq in every if index.edition[seq] == edition}
    erased = {edition: target}
    for seq in every:
        if index.digest_at(seq) in contents:
            erased.setdefault(index.edition[seq], seq)
    return Erasure(tuple(erased.values()), tuple(seq for seq in reversed(every) if index.edition[seq] in erased))


@pytest.mark.parametrize("contents", [7, 90, 10 * MANY])
def test_what_erasing_one_of_many_versions_erases(contents: int) -> None:
    dice, index = random.Random(contents), Index()
    entries = versions(1, MANY, contents)
    apply_all(index, entries)
    before = index.savepoint()
    for more in (versions(MANY + 1, MANY, contents), versions(MANY + 1, MANY // 2, 3)):
        for entry in more:
            index.apply(entry)
            if not entry.seq % 5:
                target = dice.randrange(1, entry.seq + 1)
                assert erasure(index, target) == naive_erasure(index, target)
        index.rollback(before)


def test_to_erase_all_versions_takes_no_walk_past_all_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(digest_at: Callable[[Any, int], bytes]) -> Callable[[Any, int], bytes]:
        def look(self: Any, seq: int) -> bytes:
            looked.append(seq)
            return digest_at(self, seq)

        return look

    monkeypatch.setattr(Index, "digest_at", counted(Index.digest_at))
    monkeypatch.setattr(Roll, "_digest_at", counted(Roll._digest_at))
    index, many = Index(), 1000
    apply_all(index, versions(1, many, many))
    looked.clear()
    assert len(withdrawable(index, range(1, many + 1), "erased")) == many - many // 4
    assert len(looked) < 50 * many


def superseding(seq: int, supersedes: tuple[int, ...], version: int = 1) -> Belief:
    return Belief(
        seq=seq,
        batch=seq,
        recorded_at_us=seq * SECOND,
        key=f"k/{(seq + 1) // 2}",
        version=version,
        digest=digest_of(seq),
        supersedes=supersedes,
    )


def test_a_chain_of_successors_is_walked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key has two versions, and supersedes the key before."""
    many, index = 300, Index()
    entries = [superseding(seq, (seq - 1,) if seq % 2 and seq > 1 else (), 2 - seq % 2) for seq in range(1, many + 1)]
    for entry in entries:
        index.apply(entry)
    effective, asked = Index.effective_supersessions, list[int]()

    def counted(self: Index, key: int) -> Any:
        asked.append(key)
        return effective(self, key)

    monkeypatch.setattr(Index, "effective_supersessions", counted)
    said = [f"@{seq}" for seq in range(1, many + 1)]
    found = Reader(index).check(said)
    assert len(asked) < 8 * many
    expected, clock_us = Oracle(entries), many * SECOND
    assert list(found) == [expected.verdict(ref, clock_us) for ref in said]


class Counted:
    """A column that counts how often it is asked."""

    def __init__(self, column: Any) -> None:
        self.column, self.asked = column, 0

    def __getitem__(self, place: int) -> int:
        self.asked += 1
        number: int = self.column[place]
        return number

    def __getattr__(self, name: str) -> Any:
        return getattr(self.column, name)


def test_what_a_batch_gathers_is_not_gone_through_for_each_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Contents that are condemned are tried again; then what counts instead is looked at, of all keys but the first."""
    many, index = 500, Index()
    index.savepoint()
    judge = Judge(index, SECOND, {})

    def judged(commands: list[dict[str, Any]]) -> list[Entry]:
        return list(judge.judge(parse_command({"op": "batch", "commands": commands})).entries)

    def seen(content: int, first: int = 0) -> list[dict[str, Any]]:
        said = {"op": "record", "kind": "dependency", "content": content}
        return [said | {"key": f"d/{number}"} for number in range(first, many)]

    def concluded(premise: str) -> list[dict[str, Any]]:
        said = {"op": "record", "kind": "belief", "content": 1, "because": [[premise]]}
        return [said | {"key": f"b/{number}"} for number in range(many)]

    judged([*seen(1), *({"op": "record", "kind": "belief", "content": 1, "key": key} for key in "pq"), *concluded("p")])
    judged([{"op": "revoke", "target": f"d/{number}", "mode": "quarantined"} for number in range(many)])
    judged(seen(2))
    counted = Counted(index.edition)
    monkeypatch.setattr(index, "edition", counted)
    *_, looks, attempt = judged([*seen(1), *seen(2, first=1), *concluded("q")])
    assert counted.asked < 100 * many
    assert isinstance(attempt, Attempt)
    assert [bool(seq) for seq in attempt.contradicts] == [True] + [False] * (many - 1)
    assert isinstance(looks, Verification)
    assert len(looks.targets) == many - 1
