"""Waves: narrow ones edition by edition, wide ones by numpy, with the same result, and undone alike."""

from __future__ import annotations

import asyncio
import copy
from array import array
from itertools import pairwise

import pytest

from ledger import Ledger
from ledger.model.entry import Entry
from ledger.store.memory import MemoryStore
from ledger.validity.index import Index
from ledger.validity.verdicts import Reader

SIZE = 3_000


def fan() -> list[list[list[str]]]:
    """All rest on the root."""
    return [[["root"]] for _ in range(SIZE)]


def chain() -> list[list[list[str]]]:
    """Each rests on the one before."""
    return [[["root"]], *([[f"b/{number}"]] for number in range(SIZE - 1))]


def mesh() -> list[list[list[str]]]:
    """Six levels; some have other support, which does not fall, and some of that is added later."""
    width, because = SIZE // 6, []
    for number in range(SIZE):
        if number < width:
            because.append([["root"]])
        else:
            below = number - width
            premises = [f"b/{below}", f"b/{below - below % 7}"]
            because.append([premises, ["other"]] if number % 11 == 0 else [premises, [f"b/{below - below % 5}"]])
    return because


def bursts() -> list[list[list[str]]]:
    """Wide, then narrow, then wide: a fan, under one of it a chain, under that a fan."""
    third = SIZE // 3
    return [
        *([["root"]] for _ in range(third)),
        *([[f"b/{third - 1 + number}"]] for number in range(third)),
        *([[f"b/{2 * third - 1}"]] for _ in range(third)),
    ]


def log(because: list[list[list[str]]]) -> list[Entry]:
    """The entries of a ledger in which this rests on that; at the end the root is revoked, reinstated and revoked."""
    store = MemoryStore()
    with Ledger.open(store) as ledger:
        batch: list[dict[str, object]] = [
            {"op": "record", "kind": "dependency", "key": key, "content": key} for key in ("root", "other")
        ]
        batch += [
            {"op": "record", "kind": "belief", "key": f"b/{number}", "content": number, "because": support}
            for number, support in enumerate(because)
        ]
        ledger.apply(batch)
        added = ledger.record("belief", 0, key="b/0", because=[["other"]])
        ledger.revoke(added.entry)
        ledger.revoke(f"b/{SIZE // 2}", mode="quarantined")
        ledger.revoke("root")
        ledger.reinstate("root")
        ledger.revoke("root")
        return [sealed.entry for sealed in asyncio.run(store.read("main", 0, 2 * SIZE))]


def built(entries: list[Entry]) -> Index:
    index = Index()
    for entry in entries:
        index.apply(entry)
    return index


def columns(index: Index) -> dict[str, object]:
    """All there is to know of it: columns, dicts and trails."""
    known = {
        name: value
        for name, value in vars(index).items()
        if isinstance(value, (array, bytearray, dict)) and name not in ("memo", "_checked_floor")
    }
    for name in ("changes", "checks"):
        trail = getattr(index, name)
        known |= {f"{name}.{part}": getattr(trail, part) for part in ("last", "place", "earlier", "before")}
    return known


def state(index: Index) -> dict[str, object]:
    """What it tells, wherever it says so: of changes of one moment the order does not count."""
    told = columns(index)
    moments = [*index.timeline.changes, len(index.changes)]
    places, (states,) = index.changes.place, index.changes.before
    told["changes"] = [sorted(zip(places[a:b], states[a:b], strict=True)) for a, b in pairwise(moments)]
    for part in ("last", "place", "earlier", "before"):
        del told[f"changes.{part}"]
    return told


@pytest.fixture(params=[0, 1, 64, 1_000_000], ids=lambda width: f"wide above {width:,}")
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    wide_above(request.param, monkeypatch)
    return request.param


def wide_above(editions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("index", "trail"):
        monkeypatch.setattr(f"ledger.validity.{module}.WIDE", editions)


@pytest.mark.parametrize("shape", [fan, chain, mesh, bursts])
def test_wide_and_narrow_waves_do_the_same(shape, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Felled, revived and felled again, the index is as the plain loop would have left it, and its trail too."""
    entries = log(shape())

    def play() -> list[object]:
        index, seen = built(entries[:-3]), []
        for entry in entries[-3:]:
            index.watch()
            index.apply(entry)
            fell, revived = index.changed()
            seen += [sorted(fell), sorted(revived), state(index), Reader(index).verdict(f"b/{SIZE - 1}")]
        return seen

    ours = play()
    wide_above(1_000_000_000, monkeypatch)
    assert ours == play()
    assert len(ours[0]) > SIZE // 3


@pytest.mark.parametrize("shape", [fan, chain, mesh, bursts])
def test_a_wave_can_be_undone(shape, width: int) -> None:
    *entries, revocation = log(shape())
    index = built(entries)
    savepoint = index.savepoint()
    before = copy.deepcopy(columns(index))
    index.apply(revocation)
    assert not Reader(index).verdict("b/1").fresh
    index.rollback(savepoint)
    index.release()
    assert columns(index) == before
