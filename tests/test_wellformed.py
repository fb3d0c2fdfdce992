"""Logs made by hand, with good hashes: `restore` takes none that no ledger writes, and leaves nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from histories import ALL_REFS, START_US, Author
from test_properties import STEPS, game

from ledger import AsyncLedger
from ledger.errors import Corrupt, LedgerError
from ledger.model.canonical import digest_of
from ledger.model.entry import (
    GENESIS,
    Attempt,
    Belief,
    Decision,
    Entry,
    Expiry,
    Justification,
    Record,
    Reinstatement,
    Request,
    Revocation,
    Sealed,
    Verification,
    open_envelope,
    seal,
)
from ledger.service import restoring
from ledger.store.memory import MemoryStore
from ledger.testing import ManualClock

DIGEST = digest_of(None)
INT64 = 1 << 63


def entry(kind: type[Entry], seq: int, fields: dict[str, Any]) -> Entry:
    own: dict[str, Any] = {"seq": seq, "batch": seq, "recorded_at_us": START_US}
    if issubclass(kind, Record):
        own["digest"] = DIGEST
    return kind(**(own | fields))


def b(key: str | None, **fields: Any) -> tuple[type[Entry], dict[str, Any]]:
    return Belief, {"key": key, **fields}


def lines_of(entries: Sequence[Entry]) -> list[bytes]:
    chain, lines = GENESIS, []
    for one in entries:
        has_content = isinstance(one, Record) and not one.without_content
        sealed = seal(one, chain, "null" if has_content else None)
        chain = sealed.hash
        lines.append(line_of(sealed))
    return lines


def line_of(sealed: Sealed) -> bytes:
    content = b"" if sealed.content is None else b',"content":' + sealed.content.encode()
    return b'{"entry":' + sealed.envelope + content + b',"hash":"' + sealed.hash.hex().encode() + b'"}\n'


A, ON_A = b("a"), b("b", because=((1,),))
REVOKED = Revocation, {"targets": (1,)}
ADDED = Justification, {"targets": (2,), "observed": (DIGEST,), "because": ((1,),)}

BAD: dict[str, tuple[list[tuple[type[Entry], dict[str, Any]]], str]] = {
    "a premise that comes later": ([b("a", because=((2,),)), b("b")], "entry 1 rests on 2, which does not come before"),
    "a premise that is itself": ([b("a", because=((1,),))], "entry 1 rests on 1, which does not come before"),
    "premise 0": ([A, b("b", because=((0,),))], "entry 2 rests on 0"),
    "premise -1": ([A, b("b", because=((-1,),))], "entry 2 rests on -1"),
    "a premise that is an event": ([A, REVOKED, b("b", because=((2,),))], "entry 3 rests on 2, which is no record"),
    "a justification without premises": ([A, b("b", because=((),))], "without premises"),
    "time that goes back": ([A, b("b", recorded_at_us=START_US - 1)], "entry 2 was not recorded after"),
    "a moment too late": ([b("a", recorded_at_us=INT64)], "entry 1 was not recorded after .* there is"),
    "an act too late": ([b("a", occurred_at_us=INT64)], "entry 1 names a moment that there is not"),
    "a limit too late": ([b("a", valid_until_us=INT64)], "entry 1 names a moment that there is not"),
    "a batch that is to come": ([b("a", batch=7)], "entry 1 belongs to a batch that begins with 7"),
    "batch 0": ([b("a", batch=0)], "begins with 0"),
    "a batch that has ended": ([A, b("b"), b("c", batch=1)], "entry 3 belongs to a batch that begins with 1"),
    "a batch at two moments": ([A, b("b", batch=1, recorded_at_us=START_US + 1)], "later than the rest of its batch"),
    "a digest that is none": ([b("a", digest="sha256:xyz", without_content=True)], "is no digest"),
    "a key that is none": ([b("a@1")], "entry 1: 'a@1': a key does not end"),
    "another kind": ([A, (Decision, {"key": "a", "version": 2})], "entry 2 is a decision, but its key is of"),
    "a version too far": ([b("a", version=1 << 31)], "entry 1 is version 2147483648 of 'a', where 1 comes next"),
    "versions out of order": ([A, b("a", version=1)], "is version 1 of 'a', where 2 comes next"),
    "the version of what has no key": ([b(None, version=2)], "where 1 comes next"),
    "a citation of nothing": ([b("a", cites=(1,))], "cites 1"),
    "it follows another key": ([A, b("b", follows=1)], "follows 1, which is not the current version"),
    "it amends what comes": ([b("a", amends=1)], "amends 1, which is not the current version"),
    "it amends what was replaced": ([A, b("a", version=2), b("a", version=3, amends=1)], "amends 1, which is not"),
    "it amends and rests on it": ([A, b("a", version=2, amends=1, because=((1,),))], "brings support of its own"),
    "it supersedes what has no key": ([b(None), b("b", supersedes=(1,))], "supersedes what has no key"),
    "it supersedes what comes": ([b("b", supersedes=(9,))], "supersedes 9"),
    "it supersedes a key twice": ([A, b("b", supersedes=(1, 1))], "or a key twice"),
    "keys that supersede each other": (
        [A, b("b", supersedes=(1,)), b("a", version=2, supersedes=(2,))],
        "entry 3: keys would supersede each other in a circle",
    ),
    "support in a circle": (
        [A, ON_A, b("c", because=((2,),)), (Justification, ADDED[1] | {"because": ((3,),)})],
        "entry 4: it would rest on itself",
    ),
    "two targets of added support": (
        [A, ON_A, (Justification, {"targets": (2, 1), "observed": (DIGEST, DIGEST), "because": ((1,),)})],
        "is a justification of 2 entries",
    ),
    "an event without targets": ([A, (Revocation, {"targets": ()})], "entry 2 acts on nothing"),
    "a revocation of nothing": ([A, (Revocation, {"targets": (9,)})], "entry 2 withdraws 9, which does not come"),
    "a revocation of a revocation": ([A, REVOKED, (Revocation, {"targets": (2,)})], "withdraws 2, which is no record"),
    "two revoked at once": ([A, ON_A, (Revocation, {"targets": (1, 2)})], "is a revocation of 2 entries"),
    "an unknown mode": ([A, (Revocation, {"targets": (1,), "mode": "odd"})], "in a mode that is unknown: 'odd'"),
    "it erases what comes": ([A, (Revocation, {"targets": (1,), "mode": "erased", "erases": (3,)})], "erases 3"),
    "it erases nothing": ([A, (Revocation, {"targets": (1,), "mode": "erased"})], "erases nothing though"),
    "it only revokes, and erases": ([A, (Revocation, {"targets": (1,), "erases": (1,)})], "or something though"),
    "support that is erased": (
        [A, ON_A, ADDED, (Revocation, {"targets": (3,), "mode": "erased", "erases": (2,)})],
        "withdraws 3, which is no record",
    ),
    "as of a moment too late": ([A, (Revocation, {"targets": (1,), "effective_at_us": INT64})], "names a moment"),
    "what does not stand is lifted": ([A, (Reinstatement, {"targets": (1,), "lifts": (1,)})], "lifts 1, which does"),
    "nothing is lifted": ([A, REVOKED, (Reinstatement, {"targets": (1,), "lifts": ()})], "lifts nothing"),
    "what is erased is lifted": (
        [
            A,
            (Revocation, {"targets": (1,), "mode": "erased", "erases": (1,)}),
            (Reinstatement, {"targets": (1,), "lifts": (2,)}),
        ],
        "lifts 2, which does not stand on 1, or for good",
    ),
    "a look at nothing": ([(Verification, {"targets": (1,), "observed": (DIGEST,)})], "acts on 1, which does not come"),
    "two looks, one digest": ([A, (Verification, {"targets": (1, 1), "observed": (DIGEST,)})], "saw 1 digests of 2"),
    "a look that saw no digest": ([A, (Verification, {"targets": (1,), "observed": ("x",)})], "is no digest"),
    "it contradicts what comes": (
        [A, (Attempt, {"targets": (1,), "observed": (DIGEST,), "contradicts": (5,)})],
        "contradicts 5",
    ),
    "it contradicts too many": (
        [A, (Attempt, {"targets": (1,), "observed": (DIGEST,), "contradicts": (1, 1)})],
        "not one version for each",
    ),
    "what expired let fall what comes": ([A, (Expiry, {"targets": (1,), "fell_first": (4,)})], "tells of the fall"),
    "an answer about nothing": ([b("a", requests=(Request(digest="", outcome="x", about=4),))], "tells of 4"),
    "a look at no place": ([b("a", requests=(Request(digest="", outcome="x", position=-3),))], "at no place of a"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "says"), BAD.values(), ids=list(BAD))
async def test_what_no_ledger_writes_is_not_restored(made: list[Any], says: str) -> None:
    """
    the log, twice    -> corrupt, with the line and what is wrong; nothing of its page is in the store or known
    z is recorded     -> it is, and audits
    """
    entries = [entry(kind, seq, fields) for seq, (kind, fields) in enumerate(made, 1)]
    async with AsyncLedger.open(store := MemoryStore(), clock=ManualClock()) as ledger:
        for _ in range(2):
            with pytest.raises(Corrupt, match=says) as found:
                await ledger.restore([b"\n", *lines_of(entries)])
            line = found.value.details["line"]
            assert found.value.message.startswith(f"entry {line - 1}")
            assert await store.head("main") is None
            assert (await ledger.check(["a", "@1"])).fresh == []
        await ledger.record("belief", 1, key="z")
        assert (await ledger.audit()).ok


async def test_pages_before_what_is_refused_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "PAGE_ENTRIES", 2)
    good = [entry(Belief, seq, {"key": f"k/{seq}"}) for seq in range(1, 5)]
    bad = entry(Belief, 5, {"because": ((9,),)})
    async with AsyncLedger.open(store := MemoryStore(), clock=ManualClock()) as ledger:
        with pytest.raises(Corrupt):
            await ledger.restore(lines_of([*good, bad]))
        head = await store.head("main")
        assert head is not None
        assert head.seq == ledger._service.live.head.seq == 4
        assert (await ledger.check(["k/4"])).fresh == ["k/4"]
        assert (await ledger.restore(lines_of([*good, entry(Belief, 5, {"because": ((4,),)})]))).seq == 5
        assert (await ledger.audit()).ok


async def test_a_log_goes_on_within_a_batch() -> None:
    """A file that was cut within a batch was restored so: the rest of the batch still belongs to it."""
    log = lines_of([entry(Belief, seq, {"batch": 1}) for seq in (1, 2, 3)])
    async with AsyncLedger.open("memory:") as ledger:
        await ledger.restore(log[:2])
        assert (await ledger.restore(log)).seq == 3


async def test_a_store_that_does_not_take_a_page_leaves_nothing_of_it() -> None:
    class Full(MemoryStore):
        full = True

        async def append(self, *page: Any) -> None:
            if self.full:
                raise LedgerError("no room")
            await super().append(*page)

    async with AsyncLedger.open(store := Full(), clock=ManualClock()) as ledger:
        log = lines_of([entry(Belief, 1, {"key": "a"})])
        with pytest.raises(LedgerError, match="no room"):
            await ledger.restore(log)
        assert ledger._service.live.ahead.seq == 0
        store.full = False
        await ledger.record("belief", 1, key="z")
        assert (await ledger.check(["z", "a"])).fresh == ["z"]


def test_whatever_is_changed_in_a_log_it_is_refused_or_can_be_read() -> None:
    """Logs of random histories with one number or text changed and hashed anew; seeds are the numbers of the games."""
    tally = {"refused": 0, "taken": 0}

    async def games() -> None:
        for seed in range(60):
            log = await _history(seed)
            dice = random.Random(seed)
            for _ in range(12):
                lines = _changed(log, dice)
                async with AsyncLedger.open(store := MemoryStore(), clock=ManualClock()) as ledger:
                    try:
                        await ledger.restore(lines)
                    except LedgerError as error:
                        assert "line" in error.details, (seed, error)
                        assert await store.head("main") is None
                        tally["refused"] += 1
                        continue
                    tally["taken"] += 1
                    await ledger.check(ALL_REFS)
                    assert not [one for one in (await ledger.audit()).problems if "the laws" in one], seed
                async with AsyncLedger.open(store, clock=ManualClock()) as again:
                    await again.check(ALL_REFS)

    asyncio.run(games())
    assert min(tally.values()) > 50, tally


async def _history(seed: int) -> list[Sealed]:
    author = Author(seed)
    async with game() as one:
        for _ in range(STEPS):
            await one.play(author.step(one.ledger))
        return [sealed async for sealed in one.ledger._service.sealed(content=True)]


def _changed(log: Sequence[Sealed], dice: random.Random) -> list[bytes]:
    """The same log, hashed anew, with something else in one place of one entry."""
    chosen, chain, lines = dice.randrange(len(log)), GENESIS, []
    for place, sealed in enumerate(log):
        one = sealed.entry
        if place == chosen:
            data = msgspec.json.decode(sealed.envelope)
            _change(data, len(log), dice)
            with contextlib.suppress(ValueError):  # that is no entry at all
                one = open_envelope(msgspec.json.encode(data))
        anew = seal(one, chain, sealed.content)
        chain = anew.hash
        lines.append(line_of(anew))
    return lines


def _change(data: dict[str, Any], entries: int, dice: random.Random) -> None:
    at: Any = data
    name: Any = dice.choice(
        [name for name in data if name not in ("seq", "digest", "kind")] + ["supersedes", "because"]
    )
    if name in ("supersedes", "because") and name not in data:
        data[name] = [dice.randint(1, entries)] if name == "supersedes" else [[dice.randint(1, entries)]]
        return
    while isinstance(at[name], (list, dict)) and at[name]:
        at = at[name]
        name = dice.choice(list(at) if isinstance(at, dict) else range(len(at)))
    if isinstance(at[name], int):
        at[name] = dice.choice([at[name] + 1, at[name] - 1, dice.randint(-1, entries + 1), 1 << 31, 1 << 63])
    elif isinstance(at, list) or dice.random() < 0.5:
        at[name] = dice.choice(["", "odd", "d/1", "revoked", "wrong_from_birth", "quarantined", None])
    else:
        del at[name]
