"""What an ingest asks of the ledger: pure, documents and what the ledger holds of them in, commands out.

    docs/config.rst              a document: what holds for all of it (status, version, licence), not its text
    docs/config.rst#debug-mode   a chunk: heading and text of one section, because its document

So an edit in one section fells that section alone, and a document that loses its standing fells all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ledger.model.canonical import digest_of
from ledger.model.view import EntryView

WITHDRAWAL_REASON = "ingest: no longer in the folder"
"""By this reason, its actor and the mode `revoked`, ingest knows the withdrawals it made itself."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One section of a document, and the reference that a vector store keeps with it."""

    key: str
    ref: str  # key@sha256:<64 hex>
    title: str  # its heading, else its document's path
    path: str  # of its document, relative to the folder, with forward slashes
    text: str
    content: Mapping[str, str]  # what is recorded: heading and text


@dataclass(frozen=True, slots=True)
class Document:
    """One file of the folder."""

    key: str
    content: Mapping[str, Any]
    chunks: tuple[Chunk, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of a key that ingest recorded: its current version, and ingest's withdrawals of it."""

    version: int
    digest: str
    current: bool = True  # False: the key has no current version, this is its newest
    own_withdrawals: tuple[str, ...] = ()  # as @31, those that stand


def held_of(records: Sequence[EntryView], events: Sequence[EntryView], actor: str) -> dict[str, Held]:
    """By key: the current version, if `actor` recorded it, and the standing withdrawals that it made."""
    lifted = {lift for event in events if event.kind == "reinstatement" for lift in event.lifts}
    standing: dict[str, list[str]] = {}
    for event in events:
        if event.id not in lifted and _is_own_withdrawal(event, actor):
            standing.setdefault(event.targets[0], []).append(event.id)
    return {
        record.key: Held(record.version, record.digest, _is_current(record), tuple(standing.get(record.ref, ())))
        for record in records
        if record.actor == actor and record.key and record.version and record.digest
    }


def _is_own_withdrawal(event: EntryView, actor: str) -> bool:
    return (event.kind, event.actor, event.mode, event.reason) == (
        "revocation",
        actor,
        "revoked",
        WITHDRAWAL_REASON,
    )


def _is_current(record: EntryView) -> bool:
    """A key whose versions are all wrong from birth shows its newest one, and has no current one."""
    return record.verdict is None or record.verdict.reason != "wrong_from_birth"


def plan(documents: Sequence[Document], held: Mapping[str, Held]) -> list[dict[str, Any]]:
    """The commands of one atomic batch that makes the ledger hold `documents` and nothing else of ingest's.

    A document comes before its chunks, so that they rest on its new edition; what returns is reinstated
    before it is recorded (law 3: repetition never revives); what vanished is revoked at the end.
    """
    recorded = [command for document in documents for command in _of_document(document, held)]
    return recorded + list(_revocations(documents, held))


def _of_document(document: Document, held: Mapping[str, Held]) -> Iterator[dict[str, Any]]:
    yield from _recorded(document.key, document.content, held.get(document.key))
    for chunk in document.chunks:
        yield from _recorded(chunk.key, chunk.content, held.get(chunk.key), because=[[document.key]])


def _recorded(key: str, content: Mapping[str, Any], held: Held | None, **support: Any) -> Iterator[dict[str, Any]]:
    """`expects` refuses the batch if somebody wrote in between; a repetition ignores it (law 2)."""
    if held and held.own_withdrawals and held.digest == digest_of(content):
        yield {
            "op": "reinstate",
            "target": f"{key}@{held.version}",
            "lifts": list(held.own_withdrawals),
            "reason": "ingest: in the folder again",
        }
    expects = {"expects": held.version if held.current else 0} if held else {}
    yield {"op": "record", "kind": "dependency", "key": key, "content": content, **support, **expects}


def _revocations(documents: Sequence[Document], held: Mapping[str, Held]) -> Iterator[dict[str, Any]]:
    """For each document, or chunk of a document still there, that is gone and not yet withdrawn by ingest.

    The chunks of a vanished document need none: they fall with what they rest on, and stand again with it.
    """
    present = {document.key for document in documents}
    chunks = {chunk.key for document in documents for chunk in document.chunks}
    for key, state in held.items():
        document, _, anchor = key.partition("#")
        gone = key not in chunks and document in present if anchor else key not in present
        if gone and not state.own_withdrawals:
            yield {
                "op": "revoke",
                "target": f"{key}@{state.version}",
                "mode": "revoked",
                "reason": WITHDRAWAL_REASON,
            }
