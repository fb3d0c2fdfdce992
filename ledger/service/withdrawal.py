"""Withdrawing many editions at once: what to revoke, and the batch that does it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from ledger.errors import ImpactChanged, Malformed
from ledger.model.canonical import digest_of_bytes
from ledger.model.command import BatchCommand, SingleCommand, parse_command
from ledger.model.listing import Wanted
from ledger.model.result import FIRST_MAX, BatchResult, Effect
from ledger.model.withdrawal import Withdrawing, Withdrawn, revocation_of
from ledger.service.laws import erasure
from ledger.validity.index import Index
from ledger.validity.lookup import ERASED, MODE_FLAGS

SLICE_COMMANDS = 250
"""Made before others get their turn: some milliseconds."""


NARROWING = frozenset({"state", "current"})
"""Filters that only narrow others: alone they leave most of a ledger."""


def check_asked(asked: Withdrawing) -> None:
    """Raises Malformed for what no revocation may say, and for a filter that leaves everything."""
    _check_filter(asked.filter)
    parse_command(revocation_of(asked, "@1"))


def _check_filter(wanted: Wanted) -> None:
    given = {name: value for name, value in msgspec.structs.asdict(wanted).items() if value is not None}
    for name, value in given.items():
        # What a shell variable leaves that is not set: as a prefix it fits everything.
        if value is not False and not value:
            raise Malformed(f"{name} is empty; leave it out, or say what to withdraw", field=name)
    if not any(given[name] for name in given.keys() - NARROWING):
        raise Malformed(
            "a withdrawal needs a filter: without one it would be of everything, and state and current only narrow "
            "another",
            field="filter",
        )


def withdrawable(index: Index, seqs: Iterable[int], mode: str) -> list[int]:
    """What to revoke, so that the editions of all these entries are withdrawn in a mode: each once.

    Added support too, unless its edition is withdrawn. What is withdrawn so already is left out.
    """
    flag = MODE_FLAGS[mode]
    seqs = list(seqs)
    done = {edition for edition, standing in index.withdrawals.items() if any(one.flag == flag for one in standing)}
    targets: list[int] = []
    for edition in dict.fromkeys(index.edition[seq] for seq in seqs if index.is_record(seq)):
        if edition not in done:
            target = index.newest[edition]
            targets.append(target)
            done.add(edition)
            if flag == ERASED:  # it goes on to what shares its content
                done.update(index.edition[seq] for seq in erasure(index, target).targets)
    for seq in seqs if flag != ERASED else ():
        standing = index.support_withdrawals.get(seq, ())
        if seq in index.added and index.edition[seq] not in done and all(one.flag != flag for one in standing):
            targets.append(seq)
    return sorted(targets)


async def withdrawal(
    asked: Withdrawing, targets: Sequence[str], *, plan: str | None = None, idempotency_key: str | None = None
) -> BatchCommand:
    """The batch that revokes these targets; with `plan` if that is what it does."""
    commands: list[SingleCommand] = []
    for target in targets:
        command = parse_command(revocation_of(asked, target))
        assert not isinstance(command, BatchCommand)
        commands.append(command)
        if len(commands) % SLICE_COMMANDS == 0:
            await asyncio.sleep(0)
    batch = BatchCommand(commands=commands, expects_impact=plan, idempotency_key=idempotency_key)
    # What was asked, not what was found: under its key it is the same again, though nothing is left to be found.
    return batch.sent_as(digest_of_bytes(msgspec.json.encode([asked, plan])))


@contextlib.contextmanager
def naming_the_plan() -> Iterator[None]:
    """Who withdraws gave a `plan`; that the batch carries it as `expects_impact` is our doing."""
    try:
        yield
    except ImpactChanged as error:
        error.details["field"] = "plan"
        raise


def told(result: BatchResult) -> Withdrawn:
    """What the revocations did, in sum."""
    return Withdrawn(
        revision=result.revision,
        count=len(result.results),
        fell=_sum(one.fell for one in result.results),
        revived=_sum(one.revived for one in result.results),
        replayed=result.replayed and bool(result.results),
    )


def _sum(effects: Iterable[Effect]) -> Effect:
    count, first = 0, list[str]()
    for effect in effects:
        count += effect.count
        first += effect.first[: FIRST_MAX - len(first)]
    return Effect(count, tuple(first))
