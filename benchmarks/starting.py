"""Opening a ledger that is there: from the log, and from a checkpoint, beside the raw read of the same columns."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from unittest import mock

from benchmarks import histories
from benchmarks.measure import Row, seconds
from ledger import Ledger


def measure(entries: int) -> list[Row]:
    """On SQLite; files are in the system's cache by then, for both."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, LEDGER_CHECKPOINT_DIR=f"{folder}/kept"):
        path = Path(folder) / "ledger.db"
        with Ledger.open(f"sqlite:///{path}") as ledger:
            ledger.import_lines(histories.lines(entries))
        raw = min(seconds(lambda: _raw(path)) for _ in range(3))
        kept = min(seconds(lambda: _open(path)) for _ in range(3))
        os.environ["LEDGER_CHECKPOINT_DIR"] = ""
        whole = min(seconds(lambda: _open(path)) for _ in range(3))
    what = f"opening a ledger of {entries:,} entries"
    read = f"raw read {raw:.2f} s"
    allowed = 3.0 * entries / 1_000_000
    return [
        Row(f"{what}, from the log", f"{whole:.2f} s", read, whole / raw, "at most 2"),
        Row(
            f"{what}, from a checkpoint",
            f"{kept:.2f} s",
            f"{allowed:.2f} s (3 s a million)",
            kept / allowed,
            "at most 1",
        ),
    ]


def _open(path: Path) -> None:
    with Ledger.open(f"sqlite:///{path}") as ledger:
        assert ledger.check(["docs/0"]).fresh


def _raw(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("SELECT envelope, hash FROM entry ORDER BY ledger, seq").fetchall()
    connection.close()
