"""Checkpoints: what they save, and that none is believed that the log does not bear out."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from histories import ALL_REFS, Author
from test_kept_causes import belief, reinstate, revoke, support
from test_properties import STEPS, game

from ledger import Ledger
from ledger.clock import SECOND, format_moment
from ledger.model.entry import Entry
from ledger.service import checkpoints
from ledger.service.checkpoints import DIRECTORY, UNUSED_S, Checkpoints
from ledger.store.base import Store
from ledger.testing import ManualClock
from ledger.validity.checkpoint import restored, snapshot
from ledger.validity.index import Index
from ledger.validity.past import Past
from ledger.validity.trail import Standing
from ledger.validity.verdicts import Reader

UNSAID = {"memo", "causes", "_checked_floor", "_now", "_watched", "digest_texts", "rewinds", "rolls"}
"""What is made anew when it is wanted."""


def told(index: Index) -> dict[str, object]:
    """All that an index holds."""
    held: dict[str, object] = dict(index.columns())
    for name, value in vars(index).items():
        if name not in UNSAID and not name.endswith("_columns"):
            held.setdefault(name, value)
    for name in ("timeline", "changes", "checks"):
        del held[name]  # their columns are there
    held["requests"] = sorted([*index.requests.recent.values(), *index.requests.entries])
    for name in ("withdrawals", "support_withdrawals", "superseded_by"):
        held[f"{name}.changes"] = getattr(index, name).changes
    for name in ("limits", "divergences"):
        held[f"{name}.earlier"] = getattr(index, name).earlier
    return held


def again(index: Index) -> Index:
    """Through the bytes of a checkpoint."""
    form, *columns = snapshot(index).parts()
    return restored(form, memoryview(b"".join(columns)))


@pytest.mark.parametrize("block", range(4))
def test_a_restored_index_is_the_index(block: int) -> None:
    """Random histories: cut anywhere, through bytes and on, every column, verdict and past is the same."""

    async def play(seed: int) -> None:
        author, dice = Author(seed), random.Random(seed)
        async with game() as one:
            for _ in range(STEPS):
                await one.play(author.step(one.ledger))
            log = [sealed async for sealed in one.ledger._service.sealed()]
        whole = Index()
        cut = dice.randrange(len(log) + 1)
        for sealed in log[:cut]:
            whole.take_in(sealed)
        other = again(whole)
        assert told(other) == told(whole), seed
        keys = [one.idempotency_key for sealed in log for one in sealed.entry.requests if one.idempotency_key]
        assert other.requests.find(keys) == whole.requests.find(keys), seed
        for sealed in log[cut:]:
            whole.take_in(sealed)
            other.take_in(sealed)
        assert told(other) == told(whole), seed
        assert Reader(other).check(ALL_REFS) == Reader(whole).check(ALL_REFS), seed
        for seq in range(1, len(log) + 1):
            then, same = (Past(index, seq, index.recorded_us[seq]) for index in (whole, other))
            assert Reader(then).check(ALL_REFS) == Reader(same).check(ALL_REFS), f"{seed} @{seq}"

    for seed in range(block * 25, block * 25 + 25):
        asyncio.run(play(seed))


def kept(value: object) -> int:
    """How many objects something holds, each counted wherever it is held."""
    held: list[object] = []
    if isinstance(value, Standing):
        held.append(value.changes)
    if isinstance(value, dict):
        held += value.values()
    elif isinstance(value, list | tuple):
        held += value
    return 1 + sum(map(kept, held))


@pytest.mark.parametrize("what", ["withdrawals", "withdrawals of support", "supersessions"])
def test_what_comes_and_goes_on_one_thing_is_kept_once(what: str) -> None:
    """Twice as many changes of one thing are twice as much, not four times: in bytes, and in objects."""
    sizes: list[tuple[int, int]] = []
    for changes in (400, 800):
        index = Index()
        for entry in about_one_thing(what, changes):
            index.apply(entry)
        size = sum(map(len, snapshot(index).parts()))
        for held in (index, again(index)):
            sizes.append((size, sum(map(kept, (held.withdrawals, held.support_withdrawals, held.superseded_by)))))
    for fewer, more in zip(sizes[:2], sizes[2:], strict=True):
        assert more[0] < 2.2 * fewer[0]
        assert more[1] < 2.2 * fewer[1]


def about_one_thing(what: str, changes: int) -> Iterator[Entry]:
    """@1 and @3, support added to it: as many withdrawals or supersessions, then half of those lifted one by one."""
    yield from (belief(1, "old"), belief(2, "new"), support(3, 1, 2))
    target = 3 if what == "withdrawals of support" else 1
    for seq in range(4, changes + 4):
        yield belief(seq, "new", version=seq, supersedes=(1,)) if what == "supersessions" else revoke(seq, target)
    for seq in range(4, changes // 2 + 4):
        yield reinstate(changes + seq, target, seq)


def test_who_is_wrong_again_and_again_about_a_key_leaves_a_line_each_time() -> None:
    """Twice as many versions that were wrong from birth are twice as many changes; lifted, they count again."""
    changes = []
    for rounds in (50, 100):
        index = Index()
        for one in range(rounds):
            index.apply(belief(2 * one + 1, "wrong", version=one + 1))
            index.apply(revoke(2 * one + 2, 2 * one + 1, "wrong_from_birth"))
        changes.append(len(index.changes))
        index.apply(reinstate(2 * rounds + 1, 21, 22))
        assert Reader(index).check(["wrong", "wrong@11"])[1].fresh
        index.apply(reinstate(2 * rounds + 2, 41, 42))
        assert [one.reason for one in Reader(index).check(["wrong@11", "wrong@21"])] == ["superseded", None]
        index.apply(reinstate(2 * rounds + 3, 1, 2))
        assert Reader(index).check(["wrong@1"])[0].reason == "superseded"
    assert changes[1] <= 2 * changes[0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where checkpoints lie; they are written from ten entries on."""
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "checkpoints"))
    monkeypatch.setattr(checkpoints, "ENTRIES_MIN", 10)
    return tmp_path / "checkpoints"


@pytest.fixture
def written(folder: Path, tmp_path: Path) -> str:
    """The address of a ledger of 40 entries that left a checkpoint."""
    address = f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(address) as ledger:
        record(ledger, 20)
        ledger.revoke("k/0")
        record(ledger, 19, first=20)
    assert len(list(folder.iterdir())) == 1
    return address


def record(ledger: Ledger, number: int, first: int = 0) -> None:
    for one in range(first, first + number):
        because = [[f"k/{one - 1}"]] if one else []
        ledger.record("belief", one, key=f"k/{one}", because=because)


@pytest.fixture
def believed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many entries came from a checkpoint, each time that a ledger was opened."""
    opened: list[int] = []
    load = Checkpoints.load

    async def watched(self: Checkpoints, store: Store) -> tuple[Index, bytes] | None:
        found = await load(self, store)
        opened.append(found[0].head.seq if found is not None else 0)
        return found

    monkeypatch.setattr(Checkpoints, "load", watched)
    return opened


def test_what_the_checkpoint_holds_is_not_read_again(written: str, believed: list[int]) -> None:
    """... and what came later is: 3 entries."""
    with Ledger.open(written) as ledger:
        record(ledger, 3, first=39)
    with Ledger.open(written) as ledger:
        assert believed == [40, 40]
        assert ledger.revision.startswith("main@43.")
        verdicts = ledger.check([f"k/{one}" for one in range(42)]).verdicts
        assert [one.reason for one in verdicts] == ["revoked"] + ["unsupported"] * 41
        assert ledger.audit().ok


@pytest.mark.parametrize("place", [0, 30, 200, -40, -1])
def test_a_damaged_one_is_named_and_replaced(
    place: int, written: str, folder: Path, believed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = folder.iterdir()
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    with Ledger.open(written) as ledger:
        assert not ledger.check(["k/3"]).verdicts[0].fresh
        assert ledger.audit().ok
    assert "is not used" in caplog.text
    assert str(path) in caplog.text
    caplog.clear()
    with Ledger.open(written):
        assert believed == [0, 40], "no new one was written"
    assert not caplog.text


def test_a_cut_off_one_is_not_used(written: str, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with Ledger.open(written) as ledger:
            assert not ledger.check(["k/3"]).verdicts[0].fresh
        assert "is not used" in caplog.text, length
        caplog.clear()


def test_one_of_another_history_is_not_believed(
    written: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """
    the file was put back as it had been, and went on differently
        -> the checkpoint, which says that k/0 is revoked, is of another history
    """
    for file in tmp_path.glob("ledger.db*"):
        file.unlink()
    with Ledger.open(written) as ledger:
        assert "or none" in caplog.text
    monkeypatch.setenv(DIRECTORY, "")
    with Ledger.open(written) as ledger:
        record(ledger, 60)
    monkeypatch.setenv(DIRECTORY, str(folder))
    caplog.clear()
    with Ledger.open(written) as ledger:
        assert "another history" in caplog.text
        assert all(one.fresh for one in ledger.check([f"k/{one}" for one in range(60)]).verdicts)
        assert ledger.audit().ok


def test_a_newer_format_is_named(
    written: str, folder: Path, believed: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"format":4', b'"format":5', 1))
    with Ledger.open(written):
        assert believed == [0]
    assert "format 5" in caplog.text


def test_the_clock_of_who_wrote_it_is_his_alone(
    folder: Path, believed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is ten years ahead only looks; who starts from its checkpoint has his own time."""
    address, clock, ahead = f"sqlite:///{tmp_path}/ledger.db", ManualClock(), ManualClock()
    ahead.wait(10 * 365 * 86_400)
    monkeypatch.setattr(checkpoints, "ENTRIES_MIN", 1_000)
    with Ledger.open(address, clock=clock) as ledger:
        ledger.record("dependency", 1, key="limited", valid_until=format_moment(clock.now_us + 86_400 * SECOND))
        ledger.record("belief", 1, key="on it", because=[["limited"]])
        record(ledger, 20)
    with Ledger.open(address, clock=ahead) as ledger:
        assert ledger.check(["limited", "on it"]).fresh == []
        monkeypatch.setattr(checkpoints, "ENTRIES_MIN", 10)  # one is written when it is closed
    assert len(list(folder.iterdir())) == 1
    clock.wait(60)
    with Ledger.open(address, clock=clock) as ledger:
        assert believed == [0, 0, 22]
        assert ledger.check(["limited", "on it"]).fresh == ["limited", "on it"]
        ledger.record("belief", 2, key="next")
        assert ledger.entry("next").recorded_at == format_moment(clock.now_us)
        clock.wait(86_400)
        assert [verdict.reason for verdict in ledger.check(["limited", "on it"]).withheld] == ["expired", "unsupported"]


def test_what_nobody_uses_any_more_is_removed(written: str, folder: Path) -> None:
    """Files of ours alone, and only when one is written; one that was read is used."""
    (used,) = folder.iterdir()
    gone, cut_off, recent, other = (
        folder / name
        for name in (
            "gone-0123456789abcdef.checkpoint",
            "gone-0123456789abcdef.x_1y.part",
            "recent-0123456789abcdef.checkpoint",
            "notes-on-the.checkpoint",
        )
    )
    long_ago = time.time() - UNUSED_S - 60
    for file in (used, gone, cut_off, recent, other):
        file.touch()
        if file != recent:
            os.utime(file, (long_ago, long_ago))
    with Ledger.open(written):
        pass
    assert gone.exists()
    with Ledger.open(written.replace("ledger.db", "second.db")) as second:
        record(second, 20)
    assert {used, recent, other} < (left := set(folder.iterdir()))
    assert len(left) == 4


def test_none_are_kept_where_none_are_wanted(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DIRECTORY, "")
    with Ledger.open(f"sqlite:///{tmp_path}/other.db") as ledger:
        record(ledger, 30)
    assert not folder.exists()


def test_a_folder_that_may_not_be_written_to_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(struct.pack("i", 1))
    monkeypatch.setenv(DIRECTORY, str(tmp_path / "file"))
    with Ledger.open(f"sqlite:///{tmp_path}/other.db") as ledger:
        record(ledger, 30)
    assert "is not written" in caplog.text
