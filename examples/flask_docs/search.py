"""A retriever as people build them: BM25 over the sections of one release, with their references."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bm25s

from ledger.ingest import Chunk


class Bm25:
    """Finds the sections that share the most telling words with a question."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self._passages = [
            {"ref": chunk.ref, "key": chunk.key, "title": chunk.title, "text": chunk.text} for chunk in chunks
        ]
        self._index = bm25s.BM25()
        self._index.index(_tokens([f"{chunk.title}\n{chunk.text}" for chunk in chunks]), show_progress=False)

    def __call__(self, question: str, count: int = 5) -> list[dict[str, Any]]:
        """The best `count` passages, best first, as dicts with `ref`, `key`, `title` and `text`."""
        found, _ = self._index.retrieve(_tokens([question]), k=count, show_progress=False)
        return [self._passages[place] for place in found[0]]


def _tokens(texts: list[str]) -> Any:
    return bm25s.tokenize(texts, stopwords="en", show_progress=False)
