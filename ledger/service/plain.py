"""The commonest command the short way: a record under a key that is new, with nothing said of it but its support.

It touches nothing that was there before. So no law can refuse it but those of references, and there is nothing to try
first, to measure or to undo, which is half of what `judge` does. A test holds the two against each other.
"""

from __future__ import annotations

from msgspec import UNSET

from ledger.model.command import RecordCommand
from ledger.model.entry import KINDS, Entry
from ledger.model.verdict import FRESH, Verdict
from ledger.service import laws
from ledger.service.drafts import Outcome, request_of
from ledger.validity.index import Index
from ledger.validity.resolve import name_of
from ledger.validity.verdicts import Reader


def is_plain(index: Index, command: RecordCommand) -> bool:
    """Whether a command can be judged the short way."""
    return not (
        command.key in index.keys
        or command.supersedes
        or command.cites
        or command.expects
        or command.require_fresh
        or command.amends is not None
        or command.valid_until is not UNSET
    )


def record_plain(index: Index, command: RecordCommand, now_us: int) -> tuple[Entry, Outcome]:
    """The entry of a plain command, applied, and its outcome. Raises NotFound, Ambiguous, NotAPremise, Malformed."""
    because = tuple(laws.resolve_support(index, command.because))
    seq = len(index.kind)
    outcome = Outcome("recorded", seq, seq)
    entry = KINDS[command.kind](
        seq=seq,
        batch=seq,
        recorded_at_us=now_us,
        occurred_at_us=command.occurred_at,
        actor=command.actor,
        requests=(request_of(command, 0, outcome),),
        digest=command.digest,  # type: ignore[call-arg]  # those kinds are records
        key=command.key,
        because=because,
        without_content=command.content_form is None,
    )
    index.apply(entry)
    if index.valid[index.edition[seq]]:
        outcome.verdict = Verdict(name_of(index, seq), FRESH, None, f"@{seq}")
    else:
        outcome.verdict = Reader(index).verdict_of(seq)
    return entry, outcome
