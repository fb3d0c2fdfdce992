"""The versions of keys that have many, in order, so that an old one is found without walking past all newer ones.

Made when somebody looks far back for the first time, and brought up to date when somebody does again: to append costs
nothing. What is undone is cut off.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

FEW = 64
"""So many versions are walked as quickly."""


class Roll:
    """The versions of one key by seq, oldest first."""

    def __init__(self, digest: bytearray) -> None:
        """`digest` has 32 bytes an entry, and grows."""
        self.seqs = array("i")
        self.entries = 0  # so many of the index it is of
        self._digest = digest
        self._by_digest: array[int] | None = None  # the same seqs, sorted by digest; made when one is asked for

    def newest(self, upto: int) -> int:
        """The newest version that is not after an entry; 0 if none is."""
        place = bisect_right(self.seqs, upto)
        return self.seqs[place - 1] if place else 0

    def with_digest(self, begins: str, upto: int) -> list[int]:
        """The newest version of each content whose digest begins with these hex digits, none after an entry."""
        seqs, found = self._sorted(), []
        place = bisect_left(seqs, bytes.fromhex(begins.ljust(64, "0")), key=self._digest_at)
        while place < len(seqs) and (digest := self._digest_at(seqs[place])).hex().startswith(begins):
            end = bisect_right(seqs, digest, place, key=self._digest_at)
            known = bisect_right(seqs, upto, place, end)
            if known > place:
                found.append(seqs[known - 1])
            place = end
        return found

    def with_content(self, digest: bytes) -> array[int]:
        """All versions with this digest, oldest first."""
        seqs = self._sorted()
        start = bisect_left(seqs, digest, key=self._digest_at)
        return seqs[start : bisect_right(seqs, digest, start, key=self._digest_at)]

    def append(self, seqs: array[int]) -> None:
        """Newer ones."""
        self.seqs += seqs
        if 8 * len(seqs) > len(self.seqs):
            self._by_digest = None  # it is sorted anew as quickly
        if self._by_digest is not None:
            for seq in seqs:
                self._by_digest.insert(bisect_right(self._by_digest, self._digest_at(seq), key=self._digest_at), seq)

    def cut(self, since: int) -> None:
        """Entries from `since` on are about to be undone."""
        while self.seqs and self.seqs[-1] >= since:
            seq = self.seqs.pop()
            if self._by_digest is not None:
                del self._by_digest[bisect_right(self._by_digest, self._digest_at(seq), key=self._digest_at) - 1]
        self.entries = since

    def _sorted(self) -> array[int]:
        if self._by_digest is None:
            self._by_digest = array("i", sorted(self.seqs, key=self._digest_at))
        return self._by_digest

    def _digest_at(self, seq: int) -> bytes:
        return bytes(self._digest[32 * seq : 32 * seq + 32])


class Rolls(dict[int, Roll]):
    """By key, in the order in which they were brought up to date: so those of most entries come last."""

    def __init__(self, newest_of_key: array[int], previous: array[int], digest: bytearray) -> None:
        """Columns of the index."""
        super().__init__()
        self._newest_of_key = newest_of_key
        self._previous = previous
        self._digest = digest

    def of(self, key: int) -> Roll:
        """The roll of a key as the index is now."""
        entries = len(self._previous)
        roll = self.get(key) or Roll(self._digest)
        if roll.entries < entries:
            self.pop(key, None)
            self[key] = roll
            last = roll.seqs[-1] if roll.seqs else 0
            newer, seq = array("i"), self._newest_of_key[key]
            while seq > last:
                newer.append(seq)
                seq = self._previous[seq]
            newer.reverse()
            roll.append(newer)
            roll.entries = entries
        return roll

    def forget(self, since: int) -> None:
        """Entries from `since` on are about to be undone; others will have their numbers."""
        for roll in reversed(self.values()):
            if roll.entries <= since:
                break
            roll.cut(since)
