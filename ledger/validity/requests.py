"""Which entries answer which idempotency keys (law 11): of the newest in a dict, of all before by fingerprints.

In a dict a key takes 150 bytes with its text. Its fingerprint (64 bits of xxh3) and the number of its entry take 12.
Another key may have the same fingerprint, about once in forty million logs of a million entries: what is found is what
may answer, and the entry itself says whether it does.
"""

from __future__ import annotations

import secrets
from array import array
from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import repeat
from typing import Any

import xxhash

RECENT_MAX = 10_000
"""So many are kept in a dict in any case: those of a short log, for which numpy need not be loaded."""

RECENT_CAP = 100_000
"""So many at most, even of a long log: to settle them takes some 50 ms, in which nobody else is answered."""


class Requests:
    """Idempotency keys, and the entries that answer them."""

    def __init__(self) -> None:
        self.seed = secrets.randbits(64)  # nobody can choose keys that meet
        self.recent: dict[str, int] = {}
        """Those that may be undone, and some more, in the order of their entries."""
        self.fingerprints = array("Q")
        self.entries = array("i")
        self._sorted = 0  # so many of the fingerprints are in order; behind them are those of a bulk

    def __len__(self) -> int:
        return len(self.recent) + len(self.entries)

    def columns(self) -> dict[str, array[int]]:
        """What is not in `recent`, as a checkpoint keeps it."""
        return {"requests.fingerprints": self.fingerprints, "requests.entries": self.entries}

    def find(self, keys: Collection[str]) -> dict[str, tuple[int, ...]]:
        """The entries that may answer each of these keys; those of which there are none are left out."""
        found: dict[str, tuple[int, ...]] = {key: (self.recent[key],) for key in keys if key in self.recent}
        if self.entries:
            older = [key for key in keys if key not in found]
            found.update((key, entries) for key, entries in zip(older, self._settled(older), strict=True) if entries)
        return found

    def add(self, keys: Sequence[str], entries: Sequence[int]) -> None:
        """Know many, which will not be undone."""
        self.fingerprints.frombytes(self._fingerprints(keys).tobytes())
        self.entries.extend(entries)

    def settle(self, upto: int) -> None:
        """What entries up to this one answer will not be undone any more."""
        if len(self.recent) <= max(RECENT_MAX, min(len(self.entries) // 8, RECENT_CAP)):
            return
        keys, entries = list(self.recent), list(self.recent.values())
        end = bisect_right(entries, upto)
        self.recent.clear()  # the same dict: a journal may know it
        self.recent.update(zip(keys[end:], entries[end:], strict=True))
        self.add(keys[:end], entries[:end])
        self.sort()

    def sort(self) -> None:
        """Put in order what came in bulk."""
        import numpy as np

        known, old = self._sorted, np.frombuffer(self.fingerprints, np.uint64)
        if known == len(old):
            return
        entries = np.frombuffer(self.entries, np.int32)
        order = np.argsort(old[known:], kind="stable")
        places = np.searchsorted(old[:known], old[known:][order], "right")
        fingerprints = np.insert(old[:known], places, old[known:][order])
        entries = np.insert(entries[:known], places, entries[known:][order])
        self.fingerprints = array("Q", fingerprints.tobytes())
        self.entries = array("i", entries.tobytes())
        self._sorted = len(self.entries)

    def _settled(self, keys: Sequence[str]) -> list[tuple[int, ...]]:
        """Of each key the entries whose fingerprint it has."""
        import numpy as np

        self.sort()
        wanted, there = self._fingerprints(keys), np.frombuffer(self.fingerprints, np.uint64)
        first, behind = (np.searchsorted(there, wanted, side).tolist() for side in ("left", "right"))
        return [tuple(self.entries[start:end]) for start, end in zip(first, behind, strict=True)]

    def _fingerprints(self, keys: Sequence[str]) -> Any:
        import numpy as np

        return np.fromiter(map(fingerprint, map(str.encode, keys), repeat(self.seed)), np.uint64, len(keys))


fingerprint = xxhash.xxh3_64_intdigest
