"""The edges of the causal graph, as stores draw them for people. Each points from an entry to an earlier one."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.model.entry import Entry

EVENT_EDGES = {
    "revocation": "REVOKES",
    "reinstatement": "REINSTATES",
    "verification": "VERIFIES",
    "justification": "SUPPORTS",
    "attempt": "ATTEMPTS",
    "expiry": "EXPIRES",
}
EDGE_TYPES = ("BECAUSE", "CITES", "SUPERSEDES", "AMENDS", "LIFTS", *EVENT_EDGES.values())


def edges_of(entry: Entry) -> Iterator[tuple[str, int, int]]:
    """The edges an entry draws to earlier ones: (type, number of the justification, target)."""
    for number, premises in enumerate(getattr(entry, "because", ())):
        for premise in premises:
            yield "BECAUSE", number, premise
    for target in getattr(entry, "cites", ()):
        yield "CITES", 0, target
    for target in getattr(entry, "supersedes", ()):
        yield "SUPERSEDES", 0, target
    if getattr(entry, "follows", None):
        yield "SUPERSEDES", 0, entry.follows  # type: ignore[attr-defined]
    if getattr(entry, "amends", None):
        yield "AMENDS", 0, entry.amends  # type: ignore[attr-defined]
    for target in getattr(entry, "targets", ()):
        yield EVENT_EDGES[entry.kind], 0, target
    for target in getattr(entry, "lifts", ()):
        yield "LIFTS", 0, target
