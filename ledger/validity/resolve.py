"""From a reference to the entry it names."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from itertools import islice

from ledger.errors import Ambiguous, NotFound
from ledger.model.reference import Reference, check_reference, parse_reference
from ledger.validity.lookup import NONE, Lookup
from ledger.validity.rolls import FEW

_SUGGEST_AMONG_MAX = 20_000
"""Beyond this many keys, looking for a near one would take longer than the answer is worth."""

_COMPARED_EACH_WAY = 16
"""So many keys are compared in full: that takes some 50 µs each, a second for 20,000 that are alike."""

_SUGGEST_CHARS_MAX = 100
"""No near key is looked for to a longer one: two that repeat themselves take a millisecond at this length, and more
than in proportion beyond."""


def resolve(index: Lookup, text: str, *, hint: bool = True) -> int:
    """The seq of the version a reference names; of an event, what it acts on: a record or an added justification.

    Raises Malformed, NotFound (with the nearest key where that helps, unless nobody will read it), Ambiguous.
    """
    reference = parse_reference(check_reference(text))
    if reference.seq is not None:
        return _resolve_entry(index, reference.seq)
    key = index.keys.get(reference.key or "")
    if key is None:
        near = _nearest(index, reference.key or "") if hint else ""
        raise NotFound(f"nothing is recorded under {reference.key!r}{near}", ref=text)
    if reference.version is not None:
        return _resolve_version(index, key, reference)
    if reference.digest is not None:
        return _resolve_digest(index, key, reference)
    return index.current_version(key)


def record_named(index: Lookup, seq: int) -> int:
    """The version a resolved seq comes down to: itself, or what the added justification supports."""
    return seq if index.is_record(seq) else index.previous[seq]


def name_of(index: Lookup, seq: int) -> str:
    """How people name an entry: `key@version`, or `@seq` for what has no key."""
    edition = index.edition[seq]
    if not index.version[seq] or edition == NONE or index.key_of[edition] == NONE:
        return f"@{seq}"
    return f"{index.key_names[index.key_of[edition]]}@{index.version[seq]}"


def _resolve_entry(index: Lookup, seq: int) -> int:
    if not 0 < seq <= index.upto:
        raise NotFound(f"there is no entry @{seq}; the ledger ends at @{index.upto}", ref=f"@{seq}")
    subject = index.subject[seq]
    if not subject:
        raise Ambiguous(f"entry @{seq} acts on several entries; name one of them", ref=f"@{seq}")
    return subject


def _resolve_version(index: Lookup, key: int, reference: Reference) -> int:
    wanted, newest = reference.version or 0, index.version[index.newest_of_key[key]]
    if 1 <= wanted <= newest - FEW:
        seqs = index.rolls.of(key).seqs
        seq = seqs[bisect_left(seqs, wanted, hi=len(seqs) - 1, key=index.version.__getitem__)]
        if index.version[seq] == wanted:
            return seq
    elif 1 <= wanted <= newest:
        for seq in index.versions(key):
            if index.version[seq] == wanted:
                return seq
    raise NotFound(f"{reference.key!r} has versions 1 to {newest}, not {reference.version}", ref=reference.text)


def _resolve_digest(index: Lookup, key: int, reference: Reference) -> int:
    wanted = reference.digest or ""
    found = _contents(index, key, wanted)
    if not found:
        raise NotFound(f"{reference.key!r} never had a content with digest {wanted}", ref=reference.text)
    if len(found) > 1:
        raise Ambiguous(
            f"{reference.text!r} fits several contents of {reference.key!r}; give more digits",
            ref=reference.text,
        )
    return found[0]


def _contents(index: Lookup, key: int, begins: str) -> list[int]:
    """The newest version of each content of a key whose digest begins so."""
    if key not in index.rolls:
        versions = index.versions(key)
        found: dict[bytes, int] = {}
        for seq in islice(versions, FEW):
            digest = index.digest_at(seq)
            if digest.hex().startswith(begins):
                found.setdefault(digest, seq)
                if len(begins) == 64:
                    return [seq]
        if not next(versions, 0):
            return list(found.values())
    return index.rolls.of(key).with_digest(begins, index.upto)


def _nearest(index: Lookup, key: str) -> str:
    if index.key_count > _SUGGEST_AMONG_MAX or len(key) > _SUGGEST_CHARS_MAX:
        return ""
    alike = _alike(key, index.key_names[: index.key_count])
    near = difflib.get_close_matches(key, alike, n=1, cutoff=0.8)
    return f"; did you mean {near[0]!r}?" if near else ""


def _alike(key: str, names: list[str]) -> set[str]:
    """The names that begin as it does for longest, and those that end so: one slip leaves one of both whole."""
    found = set[str]()
    longest = 2 * len(key)  # what is longer than that is not near
    for way in (slice(None), slice(None, None, -1)):
        ordered = sorted([name[way] for name in names if len(name) < longest])
        place = bisect_left(ordered, key[way])
        around = ordered[max(0, place - _COMPARED_EACH_WAY // 2) : place + _COMPARED_EACH_WAY // 2]
        found.update(name[way] for name in around)
    return found
