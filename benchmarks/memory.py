"""What the index holds in memory for an entry."""

from __future__ import annotations

import gc
import sys
import tracemalloc

from benchmarks import histories
from benchmarks.measure import Row
from ledger import Ledger
from ledger.store.memory import MemoryStore


def measure(entries: int) -> list[Row]:
    """Traced bytes of opening a ledger that is there already: the index, without contents."""
    store = MemoryStore()
    with Ledger.open(store) as ledger:
        ledger.import_lines(histories.lines(entries))
    gc.collect()
    tracemalloc.start()
    with Ledger.open(store) as ledger:
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        index = ledger._ledger._service.live.index
        texts = sum(map(sys.getsizeof, index.keys)) + sum(map(sys.getsizeof, index.requests))
    each = (held - texts) / entries
    return [
        Row(
            f"index memory at {entries:,} entries, two premises each, beyond {texts / entries:,.0f} B of keys' texts",
            f"{each:,.0f} B/entry",
            "300 B",
            each / 300,
            "at most 1",
        )
    ]
