"""The commonest command the short way: a record under a key that is new, with nothing said of it but its support.

It touches nothing that was there before. So no law can refuse it but those of references, and there is nothing to try
first, to measure or to undo, which is half of what `judge` does. Many of them in a row, as in an import, are taken into
the index together. Tests hold all ways against each other.
"""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Sequence
from itertools import repeat
from typing import NamedTuple

from msgspec import UNSET

from ledger.errors import LedgerError
from ledger.model.command import Command, RecordCommand
from ledger.model.entry import KINDS, Entry
from ledger.model.reference import entry_number
from ledger.model.verdict import FRESH, Verdict
from ledger.service import laws
from ledger.service.drafts import Outcome, request_of
from ledger.service.laws import Premises
from ledger.validity.index import Index
from ledger.validity.resolve import name_of, resolve
from ledger.validity.verdicts import Reader

RUN_MIN = 64
"""Fewer in a row are taken in as quickly one by one."""

LOADED_FROM = 10_000
"""Entries of a ledger from which on it pays to load numpy for runs, if nobody has yet."""


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
    outcome = Outcome("recorded", len(index.kind), len(index.kind))
    entry = _entry(command, because, outcome, now_us)
    index.apply(entry)
    _tell(index, (outcome,))
    return entry, outcome


# -- many in a row ----------------------------------------------------------------------------------------------------


class PlainRun(NamedTuple):
    """Plain commands that follow each other, and of each its justifications by exact versions."""

    commands: list[RecordCommand]
    because: list[tuple[Premises, ...]]


def plain_run(index: Index, commands: Iterable[Command], remembered: Container[str]) -> PlainRun:
    """Of these commands the first ones, as far as each is plain whatever becomes of those before it.

    What a law might refuse is none of them: judged alone, it is told why.
    """
    run = PlainRun([], [])
    born = dict[str, int]()
    asked = set[str]()
    for seq, command in enumerate(commands, len(index.kind)):
        if not isinstance(command, RecordCommand) or not is_plain(index, command) or len(command.because) > 1:
            break
        if (name := command.idempotency_key) is not None:
            if name in remembered or name in asked or name in index.requests.recent:
                break
            asked.add(name)
        because: tuple[Premises, ...] = ()
        if command.because:
            premises = _premises(index, command.because[0], born, seq)
            if premises is None:
                break
            because = (premises,)
        if (key := command.key) is not None:
            if key in born:
                break
            born[key] = seq
        run.commands.append(command)
        run.because.append(because)
    return run


def _premises(index: Index, refs: Sequence[str], born: dict[str, int], end: int) -> Premises | None:
    """The versions named, those of the run under way (`born`, by key) among them; None if that is not so simple."""
    there, subject, added = len(index.kind), index.subject, index.added
    found: list[int] = []
    for ref in refs:
        seq = entry_number(ref)
        if seq is None:
            seq = born.get(ref) or _version(index, ref)
        elif not 0 < seq < end or (seq < there and (subject[seq] != seq or seq in added)):
            return None
        if not seq:
            return None
        found.append(seq)
    return tuple(dict.fromkeys(found))


def _version(index: Index, ref: str) -> int:
    """What a reference by key names; 0 if nothing."""
    if ref not in index.keys and ref.rpartition("@")[0] not in index.keys:
        return 0
    try:
        return resolve(index, ref, hint=False)
    except LedgerError:
        return 0


def pays(index: Index) -> bool:
    """Whether runs are worth what it takes to load numpy."""
    return "numpy" in sys.modules or len(index.kind) >= LOADED_FROM


def record_run(index: Index, run: PlainRun, now_us: int) -> tuple[list[Entry], list[Outcome]]:
    """The entries of a run, applied, and their outcomes."""
    from ledger.validity.building import take_in_new

    first = len(index.kind)
    outcomes = [Outcome("recorded", seq, seq) for seq in range(first, first + len(run.commands))]
    entries = list(map(_entry, run.commands, run.because, outcomes, repeat(now_us)))
    take_in_new(index, entries)
    _tell(index, outcomes)
    return entries, outcomes


# -- both -------------------------------------------------------------------------------------------------------------


def _entry(command: RecordCommand, because: tuple[Premises, ...], outcome: Outcome, now_us: int) -> Entry:
    return KINDS[command.kind](
        seq=outcome.entry,
        batch=outcome.entry,
        recorded_at_us=now_us,
        occurred_at_us=command.occurred_at,
        actor=command.actor,
        requests=(request_of(command, 0, outcome),),
        digest=command.digest,  # type: ignore[call-arg]  # those kinds are records
        key=command.key,
        because=because,
        without_content=command.content_form is None,
    )


def _tell(index: Index, outcomes: Iterable[Outcome]) -> None:
    """Give them the verdicts on what was recorded."""
    valid, edition = index.valid, index.edition
    for outcome in outcomes:
        seq = outcome.entry
        if valid[edition[seq]]:
            outcome.verdict = Verdict(name_of(index, seq), FRESH, None, f"@{seq}")
        else:
            outcome.verdict = Reader(index).verdict_of(seq)
