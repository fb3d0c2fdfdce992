"""Digests as references carry them: in hex, kept from when one was asked for first."""

from __future__ import annotations

TEXTS_MAX = 131_072
"""So many are kept, some 30 MB; then it begins anew. To write one down takes 0.3 µs, to find it a tenth."""


class DigestTexts(dict[int, str]):
    """By seq, 64 hex digits each."""

    def __init__(self, digest: bytearray) -> None:
        """`digest` has 32 bytes an entry, and grows."""
        super().__init__()
        self._digest = digest

    def __missing__(self, seq: int) -> str:
        if len(self) >= TEXTS_MAX:
            self.clear()
        text = self[seq] = self._digest[32 * seq : 32 * seq + 32].hex()
        return text

    def forget(self, since: int) -> None:
        """Entries from `since` on are undone; others will have their numbers."""
        if self:
            for seq in range(since, len(self._digest) // 32):
                self.pop(seq, None)
