"""What the index holds in memory for an entry with two premises, beyond the texts of keys and of the newest idempotency
keys (of others there are fingerprints), as Python traces it: contents are not in it. The floor is a dict from each key
to its number, and of each entry its digest, the beginning of its hash, the numbers of two premises and a byte for its
state in arrays."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from typing import TypeVar

from benchmarks.figures import Bar, Row, Section
from benchmarks.run import Run
from ledger import Ledger

SECTION = Section("memory", "Memory an entry", "entries in the log")
MOST_BYTES = 300
ARRAYS_BYTES = 32 + 4 + 2 * 4 + 1

T = TypeVar("T")


def measure(run: Run) -> Iterator[Row]:
    for size in run.scale.traced:
        ledger, held = _traced(partial(Ledger.open, run.in_memory(size)))
        with ledger:
            index = ledger._ledger._service.live.index
            texts = sum(map(sys.getsizeof, index.keys)) + sum(map(sys.getsizeof, index.requests.recent))
            keys = list(index.key_names)
        _, floor = _traced(partial(_numbered, keys, size))
        each = (held - texts) / size
        yield Row(
            what="index",
            size=size,
            ours=each,
            floor=floor / size,
            unit="B",
            beside="dict and arrays",
            ratio=each / (floor / size),
            bar=Bar(f"at most {MOST_BYTES} B", each <= MOST_BYTES),
        )


def _numbered(keys: list[str], size: int) -> tuple[dict[str, int], bytearray]:
    return {key: number for number, key in enumerate(keys)}, bytearray(ARRAYS_BYTES * size)


def _traced(make: Callable[[], T]) -> tuple[T, int]:
    """What is made, and the bytes that stay taken by it."""
    gc.collect()
    tracemalloc.start()
    made = make()
    gc.collect()
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return made, held
