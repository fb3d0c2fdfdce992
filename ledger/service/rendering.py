"""How entries and editions are shown: ids as text, times as RFC 3339, neighbours by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from msgspec import UNSET

from ledger.clock import format_moment
from ledger.model.entry import Record, Sealed
from ledger.model.result import NO_EFFECT, Effect
from ledger.model.verdict import Verdict
from ledger.model.view import EntryView, Node
from ledger.validity.lookup import KIND_NAMES, Lookup
from ledger.validity.resolve import name_of
from ledger.validity.verdicts import Reader

if TYPE_CHECKING:  # who only reads needs nothing of writing
    from ledger.service.drafts import Change, Outcome


def id_of(index: Lookup, edition: int) -> str:
    """An edition by its newest version, as @42."""
    return f"@{index.newest[edition]}"


def node_of(reader: Reader, edition: int, depth: int) -> Node:
    """An edition as a node of a slice, `depth` steps from where that starts."""
    verdict = reader.verdict_of(reader.index.newest[edition])
    kind = KIND_NAMES[reader.index.kind[reader.index.birth[edition]]]
    return Node(verdict.id or "", verdict.ref, kind, verdict.state, verdict.reason, depth)


def facts_of(name: Callable[[int], str], outcome: Outcome) -> dict[str, Any]:
    """What came of a command, as results tell it; `name` names an entry."""
    return {
        "outcome": outcome.outcome,
        "entry": f"@{outcome.entry}",
        "ref": outcome.verdict.ref,
        "verdict": outcome.verdict,
        "replayed": outcome.replayed,
        "stands": tuple(f"@{seq}" for seq in outcome.stands),
        "fell": _effect(name, outcome.fell),
        "revived": _effect(name, outcome.revived),
    }


def _effect(name: Callable[[int], str], change: Change) -> Effect:
    return Effect(change.number, tuple(map(name, change.first))) if change.number else NO_EFFECT


def verdict_of(reader: Reader, seq: int) -> Verdict | None:
    """Of a version; None for an event."""
    return reader.verdict_of(seq) if reader.index.is_record(seq) else None


def view_of(index: Lookup, sealed: Sealed, verdict: Verdict | None) -> EntryView:
    """An entry as it was recorded, with its verdict if it is a record."""
    entry = sealed.entry

    def moment(name: str) -> str | None:
        value = getattr(entry, name, None)
        return None if value is None or value is UNSET else format_moment(value)

    def names(name: str) -> tuple[str, ...]:
        return tuple(name_of(index, seq) for seq in getattr(entry, name, ()))

    return EntryView(
        id=f"@{entry.seq}",
        seq=entry.seq,
        kind=entry.kind,
        ref=name_of(index, entry.seq),
        key=getattr(entry, "key", None),
        version=entry.version if isinstance(entry, Record) else None,
        digest=getattr(entry, "digest", None),
        content=None if sealed.content is None else orjson.loads(sealed.content),
        because=tuple(tuple(name_of(index, seq) for seq in premises) for premises in getattr(entry, "because", ())),
        cites=names("cites"),
        supersedes=names("supersedes"),
        amends=name_of(index, entry.amends) if isinstance(entry, Record) and entry.amends else None,
        valid_until=moment("valid_until_us"),
        targets=names("targets"),
        observed=getattr(entry, "observed", ()),
        mode=getattr(entry, "mode", None),
        reason=getattr(entry, "reason", None),
        effective_at=moment("effective_at_us"),
        lifts=tuple(f"@{seq}" for seq in getattr(entry, "lifts", ())),
        outcomes=tuple(dict.fromkeys(request.outcome for request in entry.requests if request.position >= 0)),
        actor=entry.actor,
        occurred_at=moment("occurred_at_us"),
        recorded_at=format_moment(entry.recorded_at_us),
        hash=sealed.hash.hex(),
        verdict=verdict,
    )
