"""Many entries at once: runs of records are built as columns, by numpy; what is between them is applied one by one.

Of a run, each column is a few operations. What comes out is what `Index.apply` makes of its records one by one: in
every column, the trail of what was included. Only what `take_in_new` took in can be undone.

Imported when a long stretch of log is taken in: numpy takes a while to load.
"""

from __future__ import annotations

from array import array
from binascii import unhexlify
from collections.abc import Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
from msgspec import UNSET

from ledger.errors import Corrupt
from ledger.model.entry import Entry
from ledger.validity.applying import NONSENSE, apply_each, told
from ledger.validity.bulk import Numbers, at_or, extend, numbers
from ledger.validity.index import VALID, Index
from ledger.validity.lookup import CONDEMNING, MUTATION, NONE, SUPERSEDED
from ledger.validity.runs import RECORD_CODES, Run
from ledger.validity.wide import note

SHORT = 128
"""A shorter run is applied as quickly one by one."""

_IDEMPOTENCY_KEY = attrgetter("idempotency_key")
_DIGEST_CHARS = len("sha256:") + 64


def apply_all(index: Index, entries: Sequence[Entry]) -> None:
    """Apply entries of the log, the next ones, to an index that keeps no journal; `head` is left to the caller.

    Raises Corrupt, as `apply_each` does; of a run it is known only that it is one of those.
    """
    plain = _plain(entries)
    place, width, pause = 0, len(entries), SHORT
    while place < len(entries):
        end = plain.find(0, place, place + width)
        end = min(place + width, len(entries)) if end < 0 else end
        if end - place < SHORT:
            alone = end - place + 1
        elif built := _build(index, entries[place:end]):
            # Behind a run that was cut short the next may be too: no more is looked at than pays.
            place, width, pause = place + built, 2 * max(SHORT, built), SHORT
            alone = 1 if place < end else 0
        else:
            alone, pause = pause, 2 * pause
        apply_each(index, entries[place : place + alone])
        place += alone


def _plain(entries: Sequence[Any]) -> bytes:
    """Of each entry, whether it may be in a run, as far as it tells itself."""
    return bytes(
        [
            type(entry) in RECORD_CODES
            and entry.valid_until_us is UNSET
            and not entry.supersedes
            and (entry.amends is None or not entry.because)
            for entry in entries
        ]
    )


def _build(index: Index, records: Sequence[Any]) -> int:
    """Take in those of these records that are a run, from the first on; how many. A few do not pay: then none."""
    try:
        return _build_run(index, records)
    except NONSENSE as error:
        between = f"{records[0].seq} to {records[-1].seq}"
        raise Corrupt(f"one of the entries {between} cannot be read: {told(error)}") from error


def _build_run(index: Index, records: Sequence[Any]) -> int:
    run = Run(index, records)
    length = run.length()
    if length < len(records):
        run.forget()
        if length < SHORT:
            return 0
        run = Run(index, records[:length])
    _take_in(run, _digests(run.records))
    return length


def _take_in(run: Run, digests: bytes) -> None:
    """Append all their columns, and link them with what was there."""
    index = run.index
    index._changed()
    index.clock_us = int(run.recorded_us[-1])
    index._now = int(run.seqs[-1]), index.clock_us
    stands = _append_support(run)
    _append_entries(run, digests)
    _append_editions(run, *stands)
    _append_keys(run)
    _link_edges(run)
    _overtake(run)
    _amend(run)
    _remember_requests(run)


def take_in_new(index: Index, records: Sequence[Entry]) -> None:
    """Apply records with keys that are new or none: nothing that was there changes. Undone, they are cut off.

    Raises ValueError when a digest is none, before anything is changed.
    """
    digests = _digests(records)
    _take_in(Run(index, records), digests)


def _digests(records: Sequence[Any]) -> bytes:
    """Those of all, 32 bytes each. Raises ValueError when one is none."""
    texts = [record.digest for record in records]
    letters = np.frombuffer("".join(texts).encode(), np.uint8)
    if len(letters) != _DIGEST_CHARS * len(texts):
        raise ValueError("a digest has not the length of one")
    # One that is longer by as much as another is shorter puts other letters than hex digits where those are wanted.
    return unhexlify(letters.reshape(-1, _DIGEST_CHARS)[:, len("sha256:") :].tobytes())


def _remember_requests(run: Run) -> None:
    requests = [record.requests for record in run.records]
    keys = list(map(_IDEMPOTENCY_KEY, chain.from_iterable(requests)))
    seqs = np.repeat(run.seqs, np.fromiter(map(len, requests), np.int32, run.size))
    if None in keys:
        seqs = seqs[[key is not None for key in keys]]
        keys = [key for key in keys if key is not None]
    run.index.remember_all(keys, array("i", seqs.tobytes()))


def _append_entries(run: Run, digests: bytes) -> None:
    index = run.index
    extend(index.kind, run.kind)
    extend(index.subject, run.seqs)
    extend(index.edition, run.edition)
    index.version.extend([record.version for record in run.records])
    extend(index.previous, run.previous)
    index.digest += digests
    extend(index.recorded_us, run.recorded_us)
    index.continues += bytes([record.batch != record.seq for record in run.records])


def _append_support(run: Run) -> tuple[Numbers, Numbers]:
    """Justifications and edges; how many of them stand for each record, and whether it does."""
    index = run.index
    fallen, standing, valid = _stands(run)
    rows, edges = len(index.supports), len(index.premise)
    owner = run.place_of_row
    newest = np.full(len(owner), NONE)
    same = owner[1:] == owner[:-1]
    newest[1:][same] = rows + np.flatnonzero(same)
    extend(index.supports, run.edition[owner])
    extend(index.fallen, fallen)
    extend(index.entry_of, run.seqs[owner])
    extend(index.next_justification, newest)
    extend(index.edges_from, edges + np.cumsum(run.leaning))
    extend(index.premise, run.premise)
    extend(index.leans, rows + run.row)
    return standing, valid


def _append_editions(run: Run, standing: Numbers, valid: Numbers) -> None:
    index, births = run.index, run.births
    size = len(births)
    seqs, justified = run.seqs[births], run.justified[births]
    rows = len(index.supports) - len(run.place_of_row)
    latest = np.where(justified > 0, rows - 1 + np.cumsum(run.justified)[births], NONE)
    nothing = np.full(size, NONE, np.int32)
    for column, values in (
        (index.key_of, run.key[births]),
        (index.birth, seqs),
        (index.newest, seqs),
        (index.older, run.older),
        (index.younger, nothing),
        (index.flags, np.zeros(size)),
        (index.valid, valid[births]),
        (index.standing, standing[births]),
        (index.first_justification, latest),
        (index.first_use, nothing),
        (index.first_event, nothing),
        (index.checked_us, run.moment_us[births]),
        (index.checked_by, seqs),
        (index.changes.last, nothing),
        (index.checks.last, nothing),
    ):
        extend(column, values)
    acts = births[run.kind[births] == MUTATION]
    for edition, moment_us in zip(run.edition[acts].tolist(), run.moment_us[acts].tolist(), strict=True):
        index.note_act(edition, moment_us)


def _append_keys(run: Run) -> None:
    index, new = run.index, len(run.new_keys)
    rows = len(index.key_names)
    index.key_names += run.new_keys
    for column in (index.key_kind, index.youngest, index.current, index.newest_of_key):
        extend(column, np.zeros(new))
    named = np.flatnonzero(run.key != NONE)
    born = run.births[run.key[run.births] != NONE]
    if len(named):
        # Of several records of a key, the last one put in stays.
        numbers(index.newest_of_key)[run.key[named]] = run.seqs[named]
        numbers(index.youngest)[run.key[born]] = run.edition[born]
        numbers(index.current)[run.key[born]] = run.edition[born]
        first = named[run.key[named] >= rows][::-1]
        numbers(index.key_kind)[run.key[first]] = run.kind[first]


def _link_edges(run: Run) -> None:
    """Chain up the edges that lean on the same edition, newest first."""
    index = run.index
    size = len(run.by_premise)
    if not size:
        return
    premise, edge = run.by_premise >> 32, run.by_premise & 0xFFFFFFFF
    base = len(index.premise) - size
    starts = np.concatenate([[True], premise[1:] != premise[:-1]])
    older = np.empty(size, np.int32)
    older[1:] = base + edge[:-1]
    first_use = numbers(index.first_use)
    older[starts] = first_use[premise[starts]]
    ends = np.concatenate([starts[1:], [True]])
    next_use = np.empty(size, np.int32)
    next_use[edge] = older
    extend(index.next_use, next_use)
    first_use[premise[ends]] = base + edge[ends]


def _overtake(run: Run) -> None:
    """Let what the newer versions stand before be superseded. Nothing falls with that."""
    index, births = run.index, run.births[run.overtaking]
    older = run.older[run.overtaking]
    _note_moments(run, births)
    if not len(older):
        return
    numbers(index.younger)[older] = run.edition[births]
    states = numbers(index.flags)[older] | (numbers(index.valid)[older] << 7)
    changes = index.changes
    note(changes.last, changes.place, changes.earlier, older)
    extend(changes.before[0], states)
    lay = states < VALID
    if lay.any():
        index.unsettle_causes(int(run.seqs[births[lay]][-1]))
    numbers(index.flags)[older] |= SUPERSEDED
    numbers(index.valid)[older] = 0
    if index.dirty is not None:
        index.dirty.update(dict.fromkeys(older.tolist(), 0))


def _note_moments(run: Run, overtaking: Numbers) -> None:
    """Write down when something changed: with each record that overtakes, and with each that amends."""
    line, amendments = run.index.timeline, run.amendments
    places = np.sort(np.concatenate([overtaking, amendments]))
    extend(line.seq, run.seqs[places])
    extend(line.clock_us, run.recorded_us[places])
    extend(line.changes, len(run.index.changes) + np.searchsorted(overtaking, places))
    extend(line.checks, len(run.index.checks) + np.searchsorted(amendments, places))


def _amend(run: Run) -> None:
    """What amends is the newest of its edition, and was looked at last."""
    index, places = run.index, run.amendments
    if not len(places):
        return
    edition, checks = run.edition[places], index.checks
    checked_us, checked_by, newest, before = run.checked
    size = len(checks)
    earlier = np.where(before == NONE, numbers(checks.last)[edition], size + before)
    extend(checks.place, edition)
    extend(checks.earlier, earlier)
    extend(checks.before[0], checked_us)
    extend(checks.before[1], checked_by)
    numbers(checks.last)[edition] = np.arange(size, size + len(places))
    numbers(index.checked_us)[edition] = run.moment_us[places]
    numbers(index.checked_by)[edition] = run.seqs[places]
    numbers(index.newest)[edition] = run.seqs[places]
    condemned = places[numbers(index.flags)[edition] & CONDEMNING != 0]
    for key, seq in zip(run.key[condemned].tolist(), run.seqs[condemned].tolist(), strict=True):
        index.condemn(key, seq)
    if index.dirty is not None:
        for one, since in zip(edition.tolist(), newest.tolist(), strict=True):
            index.mark_dirty(one, since)


def _stands(run: Run) -> tuple[Numbers, Numbers, Numbers]:
    """Fallen premises of each justification, standing justifications of each record, whether that stands: when born."""
    rows, owner = len(run.leaning), run.place_of_row
    place = owner[run.row]
    stood = at_or(run.index.valid, run.premise, np.ones(len(run.births), np.uint8)).astype(bool)
    lost = ~stood | (run.overtaken < place)
    fallen = np.bincount(run.row[lost], minlength=rows)
    standing = np.bincount(owner[fallen == 0], minlength=run.size)
    valid = (run.justified == 0) | (standing > 0)
    if valid.all():
        return fallen, standing, valid
    return _spread(run, lost, fallen, standing, valid)


def _spread(
    run: Run, lost: Numbers, fallen: Numbers, standing: Numbers, valid: Numbers
) -> tuple[Numbers, Numbers, Numbers]:
    """The same, when those are known that do not stand whatever becomes of the run: what rests on them falls too.

    Edge by edge, as a wave does: a run may well be one long chain.
    """
    premise, edge = run.by_premise >> 32, run.by_premise & 0xFFFFFFFF
    start, end = (np.searchsorted(premise, run.edition, side).tolist() for side in ("left", "right"))
    edges, row, owner = edge.tolist(), run.row.tolist(), run.place_of_row.tolist()
    gone, fell, stand = lost.tolist(), fallen.tolist(), standing.tolist()
    front = np.flatnonzero(~valid).tolist()
    for place in front:
        for leaning in [row[one] for one in edges[start[place] : end[place]] if not gone[one]]:
            fell[leaning] += 1
            if fell[leaning] == 1:
                supported = owner[leaning]
                stand[supported] -= 1
                if stand[supported] == 0:
                    front.append(supported)
    valid[front] = False
    return np.array(fell), np.array(stand), valid
