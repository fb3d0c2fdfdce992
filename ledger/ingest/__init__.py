"""Registers a folder of documents with a ledger, section by section, and follows when the folder changes.

    report = ingest(ledger, "docs", attributes={"license": "BSD-3-Clause"})
    for chunk in report.references:
        vector_store.add(chunk.text, metadata={"ref": chunk.ref})    # what the guard asks the ledger about

Run it again after every change: a changed section is a new version, an unchanged one a repetition, one that
vanished is revoked, one that returns is reinstated. All of it is one atomic batch.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypedDict, Unpack

from ledger.errors import Malformed, NoSuchLedger, NotCurrent, NotStanding
from ledger.ingest.folder import INCLUDE, Attributes, read_folder
from ledger.ingest.plan import Chunk, Document, held_of, plan
from ledger.ingest.sections import Section, sections_of
from ledger.model.result import BatchResult, Result
from ledger.model.view import EntryView

__all__ = ["Chunk", "IngestOptions", "IngestReport", "Section", "aingest", "ingest", "sections_of"]

ATTEMPTS = 5
"""How often an ingest looks again when somebody else wrote between its look and its batch."""


class IngestOptions(TypedDict, total=False):
    """What may be said about a folder."""

    prefix: str  # before every key, "docs"; one folder, one prefix, and none inside another
    attributes: Attributes | None  # what holds for all of a document, such as status, version and licence
    actor: str  # signs all entries, "ingest"; what other actors recorded or withdrew is left alone
    include: Sequence[str]  # patterns of file names
    occurred_at: str | None  # RFC 3339 with zone
    allow_empty: bool  # an empty folder withdraws everything instead of being refused


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    `counts` has `recorded` (new versions), `repeated`, `justified` (repeated, and resting on a new edition of
    their document), `withheld`, `condemned`, `revoked` and `reinstated`, as far as each happened; documents
    count as chunks do.
    """

    references: list[Chunk]  # all chunks of the folder, in order: what to keep in a vector store
    counts: dict[str, int]
    withheld: list[Result]  # chunks and documents that somebody else withdrew, or that are condemned (law 3)
    revision: str  # the ledger as of the end of the batch


def ingest(ledger: Any, folder: str | PathLike[str], **options: Unpack[IngestOptions]) -> IngestReport:
    """Make a Ledger hold the documents of `folder`, and withdraw what it holds of earlier ones.

    Raises NotADirectoryError; FileTrouble for what cannot be read; Malformed for a file that is not UTF-8, or if there
    is no document at all; the ledger's own errors. Whatever is raised, nothing was recorded.
    """
    source = _source(Path(folder), **options)
    for attempts_left in reversed(range(ATTEMPTS)):
        records, events = (_held(ledger, asked) for asked in source.asks())
        commands = source.plan(records, events)
        try:
            return source.report(ledger.apply(commands, **source.signature) if commands else _nothing(ledger))
        except _MOVED:
            if not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")


async def aingest(ledger: Any, folder: str | PathLike[str], **options: Unpack[IngestOptions]) -> IngestReport:
    """`ingest` with an AsyncLedger."""
    source = await asyncio.to_thread(_source, Path(folder), **options)
    for attempts_left in reversed(range(ATTEMPTS)):
        records, events = [await _aheld(ledger, asked) for asked in source.asks()]
        commands = source.plan(records, events)
        try:
            return source.report(await ledger.apply(commands, **source.signature) if commands else _nothing(ledger))
        except _MOVED:
            if not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")


def _held(ledger: Any, asked: dict[str, Any]) -> list[EntryView]:
    """What it holds already: nothing, where a service has no such ledger yet. The batch will make it."""
    try:
        return list(ledger.entries(**asked))
    except NoSuchLedger:
        return []


async def _aheld(ledger: Any, asked: dict[str, Any]) -> list[EntryView]:
    try:
        return list(await ledger.entries(**asked))
    except NoSuchLedger:
        return []


_MOVED = (NotCurrent, NotStanding)
"""How a batch is refused that was planned on what is no longer so."""


@dataclass(frozen=True, slots=True)
class _Source:
    """The documents of a folder, and the name under which ingest keeps them."""

    documents: list[Document]
    prefix: str
    actor: str
    occurred_at: str | None

    def asks(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """For `entries`: the current version of each key under the prefix, what was withdrawn or lifted."""
        both: dict[str, Any] = {"key_prefix": f"{self.prefix}/", "content": False, "limit": sys.maxsize}
        return {**both, "kinds": ("dependency",), "current": True}, {
            **both,
            "kinds": ("revocation", "reinstatement"),
        }

    def plan(self, records: Sequence[EntryView], events: Sequence[EntryView]) -> list[dict[str, Any]]:
        return plan(self.documents, held_of(records, events, self.actor))

    @property
    def signature(self) -> dict[str, Any]:
        """What every entry of the batch carries."""
        return {"actor": self.actor, "occurred_at": self.occurred_at}

    def report(self, batch: BatchResult) -> IngestReport:
        chunks = [chunk for document in self.documents for chunk in document.chunks]
        counts = Counter(result.outcome for result in batch.results)
        withheld = [result for result in batch.results if result.outcome in ("withheld", "condemned")]
        return IngestReport(chunks, dict(counts), withheld, batch.revision)


def _nothing(ledger: Any) -> BatchResult:
    """An empty folder, and nothing held: there is no empty batch."""
    return BatchResult(revision=ledger.revision, results=())


def _source(
    folder: Path,
    *,
    prefix: str = "docs",
    attributes: Attributes | None = None,
    actor: str = "ingest",
    include: Sequence[str] = INCLUDE,
    occurred_at: str | None = None,
    allow_empty: bool = False,
) -> _Source:
    documents = read_folder(folder, prefix, include, attributes)
    if not documents and not allow_empty:
        raise Malformed(f"{folder}: no documents ({', '.join(include)}); allow_empty=True withdraws all earlier ones")
    return _Source(documents, prefix, actor, occurred_at)
