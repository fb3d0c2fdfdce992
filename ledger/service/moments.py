"""Which past is asked for: a revision, or a moment (law 12)."""

from __future__ import annotations

from ledger.clock import format_moment, parse_moment
from ledger.errors import Malformed
from ledger.model.entry import parse_revision
from ledger.model.tag import names_tag
from ledger.validity.index import Index
from ledger.validity.past import Past


def names_revision(at: str) -> bool:
    """Whether `at` is a revision's token, or its tag: no moment has an `@`."""
    return isinstance(at, str) and ("@" in at or names_tag(at))


def past(index: Index, at: str, field: str = "at") -> Past:
    """The ledger as of a revision known here (its clock is when that was recorded) or a moment not after now.

    Batches are whole: a revision within one means its end. Raises Malformed.
    """
    if names_revision(at):
        upto = index.batch_end(parse_revision(at, field).seq)
        return Past(index, upto, index.recorded_us[upto])
    try:
        moment_us = parse_moment(at)
    except Malformed:
        raise Malformed(
            f"{field}: {str(at)[:80]!r} is no revision (like main@1042.9f3c1a2b), no tag (like tag:approved) and "
            "no moment with its zone (like 2026-01-31T09:30:00Z)",
            field=field,
        ) from None
    if moment_us > index.clock_us:
        raise Malformed(f"{field}: {at} is after now, {format_moment(index.clock_us)}", field=field)
    return Past(index, index.seq_at(moment_us), moment_us)
