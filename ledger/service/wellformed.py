"""Whether an entry of a log from elsewhere has the form of one that a ledger writes, behind all that came before it.

Its hash only says that nobody changed it since it was made. What no ledger writes, such as a premise that comes later
or keys that supersede each other in a circle, the index is not made for: it would fail or never end, each time the
ledger is opened. What an entry means is not judged again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from msgspec import UNSET

from ledger.errors import Corrupt, LedgerError
from ledger.model.entry import (
    NOBODY,
    Attempt,
    Entry,
    Event,
    Expiry,
    Justification,
    Record,
    Reinstatement,
    Request,
    Revocation,
    Verification,
)
from ledger.model.reference import check_digest, check_key
from ledger.service import laws
from ledger.validity.index import Index
from ledger.validity.lookup import ERASED, KIND_CODES, KIND_NAMES, MODE_FLAGS, NONE

_INT64 = range(-(1 << 63), 1 << 63)


def check_form(index: Index, entry: Entry) -> None:
    """Hold the next entry to its form; the index has all before it. Raises Corrupt, saying what is wrong with it."""
    try:
        _check_place(index, entry)
        if isinstance(entry, Record):
            _check_record(index, entry)
        elif isinstance(entry, Event):
            _check_event(index, entry)
        for request in entry.requests:
            _check_request(index, entry, request)
    except Corrupt:
        raise
    except LedgerError as error:  # of a law, or of the form of a name
        raise Corrupt(f"entry {entry.seq}: {error.message}") from error


# -- what every entry has ---------------------------------------------------------------------------------------------


def _check_place(index: Index, entry: Entry) -> None:
    before_us = index.recorded_us[-1]
    if not before_us <= entry.recorded_at_us < _INT64.stop:
        _refuse(entry, "was not recorded after the entry before it, at a moment there is")
    if entry.occurred_at_us is not None:
        _check_moment(entry, entry.occurred_at_us)
    if entry.batch != entry.seq:
        # Row 0 is nobody, and begins none.
        if entry.seq == 1 or entry.batch != index.continues.rfind(0, 1, entry.seq):
            _refuse(entry, f"belongs to a batch that begins with {entry.batch}, as the entry before it does not")
        if entry.recorded_at_us != before_us:
            _refuse(entry, "was recorded later than the rest of its batch")


def _check_request(index: Index, entry: Entry, request: Request) -> None:
    if request.looks != 1 or request.position < 0:
        targets = len(entry.targets) if isinstance(entry, Event) else 1
        if request.position < NOBODY or not 0 <= request.looks <= targets:
            _refuse(entry, "answers a command at no place of a batch, or with more looks than it has")
    if request.about:
        _check_versions(index, entry, "tells of", (request.about,))
    if request.fell_first or request.revived_first:
        _check_changed(index, entry, (*request.fell_first, *request.revived_first))


def _check_changed(index: Index, entry: Entry, versions: Iterable[int]) -> None:
    """An amendment may be the newest version of what it let fall itself."""
    own = entry.seq if isinstance(entry, Record) else 0
    _check_versions(index, entry, "tells of the fall of", (one for one in versions if one != own))


# -- records ----------------------------------------------------------------------------------------------------------


def _check_record(index: Index, record: Record) -> None:
    check_digest(record.digest)
    key = index.keys.get(record.key, NONE) if record.key is not None else NONE
    version = _check_key(index, record, key)
    if record.version != version:
        _refuse(record, f"is version {record.version} of {record.key!r}, where {version} comes next")
    _check_support(index, record, record.because)
    if record.cites:
        for cited in record.cites:  # added support may be cited too
            if not 0 < cited < record.seq or index.subject[cited] != cited:
                _refuse(record, f"cites {cited}, which is no record before it")
    if record.follows is not None or record.amends is not None:
        _check_current(index, record, key)
    if record.supersedes:
        _check_superseded(index, record, key, record.supersedes)
    if record.valid_until_us is not UNSET:
        _check_limit(record, record.valid_until_us)


def _check_key(index: Index, record: Record, key: int) -> int:
    """The version that comes next."""
    if key == NONE:
        if record.key is not None:
            check_key(record.key)
        return 1
    if index.key_kind[key] != KIND_CODES[record.kind]:
        _refuse(record, f"is a {record.kind}, but its key is of kind {KIND_NAMES[index.key_kind[key]]}")
    return index.version[index.newest_of_key[key]] + 1


def _check_current(index: Index, record: Record, key: int) -> None:
    current = index.newest[index.current[key]] if key != NONE and index.current[key] != NONE else None
    if record.follows is not None and record.follows != current:
        _refuse(record, f"follows {record.follows}, which is not the current version of its key")
    if record.amends is not None:
        if record.amends != current:
            _refuse(record, f"amends {record.amends}, which is not the current version of its key")
        if record.because or record.follows is not None:
            _refuse(record, "amends, and brings support of its own or follows something")


def _check_support(index: Index, entry: Entry, because: tuple[tuple[int, ...], ...]) -> None:
    for premises in because:
        if not premises:
            _refuse(entry, "has a justification without premises")
        _check_versions(index, entry, "rests on", premises)


def _check_superseded(index: Index, entry: Entry, key: int, supersedes: tuple[int, ...]) -> None:
    _check_versions(index, entry, "supersedes", supersedes)
    keys = {index.key_of[index.edition[seq]] for seq in supersedes}
    if NONE in keys or len(keys) < len(supersedes):
        _refuse(entry, "supersedes what has no key, or a key twice")
    laws.check_supersession(index, key, supersedes)


# -- events -----------------------------------------------------------------------------------------------------------


def _check_event(index: Index, event: Event) -> None:
    if not event.targets:
        _refuse(event, "acts on nothing")
    if not isinstance(event, (Revocation, Reinstatement)):
        _check_versions(index, event, "acts on", event.targets)
    match event:
        case Revocation():
            _check_revocation(index, event)
        case Reinstatement():
            _check_reinstatement(index, event)
        case Verification():
            _check_looks(event, event.observed)
            _check_limit(event, event.valid_until_us)
        case Justification():
            _check_justification(index, event)
        case Attempt():
            _check_looks(event, event.observed)
            if event.contradicts and len(event.contradicts) != len(event.targets):
                _refuse(event, "contradicts not one version for each of its targets")
            _check_versions(index, event, "contradicts", filter(None, event.contradicts))
        case Expiry():
            _check_single(event)
            _check_changed(index, event, event.fell_first)


def _check_revocation(index: Index, event: Revocation) -> None:
    if event.mode not in MODE_FLAGS:
        _refuse(event, f"withdraws in a mode that is unknown: {event.mode[:60]!r}")
    erasing = MODE_FLAGS[event.mode] == ERASED
    if not erasing:
        _check_single(event)
    if erasing != bool(event.erases):
        _refuse(event, "erases nothing though its mode says so, or something though it does not")
    for target in event.targets:
        if erasing or target not in index.added:
            _check_versions(index, event, "withdraws", (target,))
    _check_versions(index, event, "erases", event.erases)
    if event.effective_at_us is not None:
        _check_moment(event, event.effective_at_us)


def _check_reinstatement(index: Index, event: Reinstatement) -> None:
    _check_single(event)
    (target,) = event.targets
    if target in index.added:
        standing = {one.seq: one.flag for one in index.support_withdrawals.get(target, ())}
    else:
        _check_versions(index, event, "reinstates", event.targets)
        edition = index.edition[target]
        standing = {one.seq: one.flag for one in index.withdrawals.get(edition, ())}
        standing |= {
            one.seq: 0 for one in index.superseded_by.get(index.key_of[edition], ()) if one.seq not in standing
        }
    if not event.lifts:
        _refuse(event, "lifts nothing")
    for lifted in event.lifts:
        if standing.get(lifted, ERASED) == ERASED:
            _refuse(event, f"lifts {lifted}, which does not stand on {target}, or for good")


def _check_justification(index: Index, event: Justification) -> None:
    _check_single(event)
    _check_looks(event, event.observed)
    _check_limit(event, event.valid_until_us)
    edition = index.edition[event.targets[0]]
    _check_support(index, event, event.because)
    laws.check_acyclic(index, edition, list(event.because))
    if event.supersedes:
        _check_superseded(index, event, index.key_of[edition], event.supersedes)


def _check_single(event: Event) -> None:
    if len(event.targets) != 1:
        _refuse(event, f"is a {event.kind} of {len(event.targets)} entries, and may be of one alone")


def _check_looks(event: Event, observed: tuple[str, ...]) -> None:
    if len(observed) != len(event.targets):
        _refuse(event, f"saw {len(observed)} digests of {len(event.targets)} targets")
    for digest in observed:
        check_digest(digest)


# -- within -----------------------------------------------------------------------------------------------------------


def _check_versions(index: Index, entry: Entry, does: str, seqs: Iterable[int]) -> None:
    """All of these are records that came before."""
    subject, added = index.subject, index.added
    for seq in seqs:
        if not 0 < seq < entry.seq:
            _refuse(entry, f"{does} {seq}, which does not come before it")
        if subject[seq] != seq or seq in added:
            _refuse(entry, f"{does} {seq}, which is no record")


def _check_limit(entry: Entry, moment_us: object) -> None:
    if isinstance(moment_us, int):
        _check_moment(entry, moment_us)


def _check_moment(entry: Entry, moment_us: int) -> None:
    if moment_us not in _INT64:
        _refuse(entry, "names a moment that there is not")


def _refuse(entry: Entry, why: str) -> NoReturn:
    raise Corrupt(f"entry {entry.seq} {why}")
