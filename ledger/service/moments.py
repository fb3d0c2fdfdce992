"""Which past is asked for: a revision, or a moment (law 12)."""

from __future__ import annotations

from ledger.clock import format_moment, parse_moment
from ledger.errors import Malformed
from ledger.model.entry import parse_revision
from ledger.validity.index import Index
from ledger.validity.past import Past


def names_revision(at: str) -> bool:
    """Whether `at` is a revision's token: no moment has an `@`."""
    return isinstance(at, str) and "@" in at


def past(index: Index, at: str, field: str = "at") -> Past:
    """The ledger as of a revision known here (its clock is when that was recorded) or a moment not after now.

    Batches are whole: a revision within one means its end. Raises Malformed.
    """
    if names_revision(at):
        upto = index.batch_end(parse_revision(at, field).seq)
        return Past(index, upto, index.recorded_us[upto])
    try:
        moment_us = parse_moment(at)
    except Malformed as error:
        raise Malformed(f"{field}: {error}; or a revision, like main@1042.9f3c1a2b", field=field) from None
    if moment_us > index.clock_us:
        raise Malformed(f"{field}: {at} is after now, {format_moment(index.clock_us)}", field=field)
    return Past(index, index.seq_at(moment_us), moment_us)
