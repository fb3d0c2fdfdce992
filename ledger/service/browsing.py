"""What the index alone can tell of a ledger, for those who read entries by number: names, causes, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from ledger.model.reference import check_reference
from ledger.model.verdict import FRESH, STALE, Verdict
from ledger.validity.graph import acts_without_ground, faults
from ledger.validity.lookup import KIND_NAMES, Lookup
from ledger.validity.resolve import record_named, resolve
from ledger.validity.verdicts import Reader, Step


def entry_named(index: Lookup, ref: str) -> int:
    """The entry a reference names; `@42` names an event itself. Raises NotFound, Ambiguous, Malformed."""
    check_reference(ref)
    literal = ref[1:] if ref[:1] == "@" and ref[1:].isascii() and ref[1:].isdigit() and len(ref) < 16 else ""
    return int(literal) if literal and 0 < int(literal) <= index.upto else resolve(index, ref)


def explained(reader: Reader, ref: str) -> tuple[Verdict, list[Step]]:
    """The verdict of a reference, and the path from the root cause to it. Raises NotFound, Ambiguous, Malformed."""
    seq = record_named(reader.index, resolve(reader.index, ref))
    return reader.verdict_of(seq, ref), reader.path(reader.index.edition[seq])


def checked_us(index: Lookup, seq: int) -> int:
    """When somebody last looked at the edition of a record: microseconds."""
    return index.checked_us[index.edition[seq]]


class Due(NamedTuple):
    """An executed mutation without standing grounds, by its newest version: to be repaired, or lapsed."""

    seq: int
    needed: bool
    causes: tuple[int, ...]  # the withdrawals that make it so; of a lapsed one, the cause of its verdict


def acts_due(reader: Reader, editions: Iterable[int] | None = None) -> list[Due]:
    """Those of these editions (None: of all) that are to be repaired first, then those that lapsed; each in the order
    given, of all in that recorded (law 16)."""
    index = reader.index
    acts = acts_without_ground(index, index.acted_us if editions is None else editions)
    found = faults(index, [act.edition for act in acts if act.needed])
    repaired = [Due(index.newest[act], True, tuple(causes)) for act, causes in found.items()]
    lapsed = [act.edition for act in acts if not act.needed]
    return repaired + [Due(index.newest[act], False, (reader.cause(act),)) for act in lapsed]


def kinds_counted(index: Lookup) -> Counter[str]:
    """Entries by kind."""
    return Counter(KIND_NAMES[kind] for kind in index.kind[1 : index.upto + 1])


def states_counted(reader: Reader) -> Counter[tuple[str, str | None]]:
    """Keys by the state and reason of their current version."""
    index = reader.index
    reasons = (reader.reason(index.edition[index.current_version(key)]) for key in range(index.key_count))
    return Counter((FRESH if reason is None else STALE, reason) for reason in reasons)
