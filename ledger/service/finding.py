"""Finding entries in the log: by kind, key, actor, state, time; page by page, never holding the ledger up for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from ledger.clock import parse_moment
from ledger.errors import LedgerError, Malformed
from ledger.model.listing import Wanted
from ledger.model.verdict import REASONS, STATES
from ledger.model.writing import Moment
from ledger.service.live import Live
from ledger.store.base import Store
from ledger.validity.graph import entries_about, resting_on
from ledger.validity.index import Index
from ledger.validity.lookup import KIND_CODES, NONE, Lookup
from ledger.validity.resolve import resolve
from ledger.validity.verdicts import Reader

T = TypeVar("T")

SCAN_ENTRIES = 10_000
"""Looked at before others get their turn: 2-10 ms."""

PICK_ENTRIES = 1_000
"""Read from the log at once to see who wrote them."""


async def find(
    store: Store,
    live: Live,
    read: Callable[[], Reader],
    wanted: Wanted,
    *,
    after: int | None = None,
    limit: int,
    newest_first: bool = False,
) -> list[int]:
    """At most `limit` entries by seq, in the order of the log or against it, that come after entry `after` in it.

    Raises Malformed for what is no kind, state, reason or time; NotFound, Ambiguous, Malformed for `about` and
    `resting_on`; StoreError.
    """
    codes = None if wanted.kinds is None else {KIND_CODES[_one_of(KIND_CODES, kind, "kinds")] for kind in wanted.kinds}
    _one_of((None, *STATES), wanted.state, "state")
    _one_of((None, *REASONS), wanted.reason, "reason")
    with live.durable as today:
        index = read().index
        seqs: Sequence[int] = _beyond(after, _span(today, index.upto, wanted), newest_first)
        if wanted.about is not None:
            about = entries_about(index, _edition(index, wanted.about, "about"))
            seqs = [seq for seq in about if seq in seqs]
        if wanted.resting_on is not None:
            resting = resting_on(index, _edition(index, wanted.resting_on, "resting_on"))
            seqs = sorted({seq for one in resting for seq in index.versions_of_edition(one)}.intersection(seqs))
    if newest_first:
        seqs = seqs[::-1]
    found: list[int] = []
    for start in range(0, len(seqs), SCAN_ENTRIES):
        with live.durable:
            fitting = _fitting(read(), wanted, codes, seqs[start : start + SCAN_ENTRIES])
            matching = list(fitting if wanted.actor is not None else islice(fitting, limit - len(found)))
        if wanted.actor is not None:
            matching = await _by_actor(store, live.name, matching, wanted.actor, limit - len(found))
        found += matching
        if len(found) >= limit:
            break
        await asyncio.sleep(0)
    return found[:limit]


def _edition(index: Lookup, ref: str, field: str) -> int:
    try:
        return index.edition[resolve(index, ref)]
    except LedgerError as error:
        raise error.at(field=field) from None


def _beyond(after: int | None, span: range, newest_first: bool) -> range:
    if after is None:
        return span
    return range(span.start, min(span.stop, after)) if newest_first else range(max(span.start, after + 1), span.stop)


def _fitting(reader: Reader, wanted: Wanted, codes: set[int] | None, seqs: Sequence[int]) -> Iterator[int]:
    index = reader.index
    judged = wanted.state is not None or wanted.reason is not None
    for seq in seqs:
        if codes is not None and index.kind[seq] not in codes:
            continue
        if wanted.current and not _is_current(index, seq):
            continue
        if wanted.key_prefix is not None and not _key_starts(index, index.edition[seq], wanted.key_prefix):
            continue
        if judged and not (index.is_record(seq) and _judged_so(reader.state(seq), wanted)):
            continue
        yield seq


def _judged_so(judgement: tuple[str, str | None], wanted: Wanted) -> bool:
    state, reason = judgement
    return wanted.state in (None, state) and wanted.reason in (None, reason)


def _is_current(index: Lookup, seq: int) -> bool:
    edition = index.edition[seq]
    return (
        index.is_record(seq) and index.key_of[edition] != NONE and index.current_version(index.key_of[edition]) == seq
    )


def _key_starts(index: Lookup, edition: int, prefix: str) -> bool:
    return (
        edition != NONE and index.key_of[edition] != NONE and index.key_names[index.key_of[edition]].startswith(prefix)
    )


def _one_of(words: Collection[Any], word: T, field: str) -> T:
    if word not in words:
        known = ", ".join(filter(None, words))
        raise Malformed(f"{word!r} is no {field.removesuffix('s')}; expected one of {known}", field=field)
    return word


async def _by_actor(store: Store, ledger: str, seqs: Sequence[int], actor: str, most: int) -> list[int]:
    """The index does not know actors: the log does."""
    found: list[int] = []
    for start in range(0, len(seqs), PICK_ENTRIES):
        picked = await store.pick(ledger, seqs[start : start + PICK_ENTRIES])
        found += [sealed.entry.seq for sealed in picked if sealed.entry.actor == actor]
        if len(found) >= most:
            break
    return found


def _span(index: Index, upto: int, wanted: Wanted) -> range:
    """The entries up to `upto` that were recorded in the time asked for."""
    since, before = wanted.recorded_since, wanted.recorded_before
    first = 1 if since is None else index.seq_at(_moment_us(since, "recorded_since") - 1) + 1
    last = upto if before is None else min(upto, index.seq_at(_moment_us(before, "recorded_before") - 1))
    return range(first, max(first, last + 1))


def _moment_us(moment: Moment, field: str) -> int:
    try:
        return parse_moment(moment)
    except Malformed as error:
        raise error.at(field=field) from None
