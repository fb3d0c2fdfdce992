"""What the log remembers of idempotency keys (law 11)."""

from __future__ import annotations

from collections.abc import Set

from ledger.model.command import BatchCommand, Command, ReinstateCommand
from ledger.model.entry import Entry
from ledger.model.reference import names_entry
from ledger.service.judge import Remembered
from ledger.service.live import Live
from ledger.store.base import Store


def idempotency_keys(command: Command) -> list[str]:
    """Those that a command brings or names, and what it holds."""
    own = [command.idempotency_key] if command.idempotency_key is not None else []
    if isinstance(command, BatchCommand):
        own += [key for one in command.commands for key in idempotency_keys(one)]
    elif isinstance(command, ReinstateCommand):
        own += [name for name in command.lifts if not names_entry(name)]
    return own


async def recalled(store: Store, live: Live, keys: Set[str]) -> dict[str, Remembered]:
    """What was answered under those of these keys that the durable log knows."""
    found: dict[str, Remembered] = {}
    for key, entries in live.answered(keys).items():
        for seq in entries:  # one of them at most says that it answers this very key
            *before, entry = await _batch_of(store, live.name, seq)
            for request in entry.requests:
                if request.idempotency_key == key:
                    found[key] = Remembered(entry, request, before)
    return found


async def _batch_of(store: Store, ledger: str, seq: int) -> list[Entry]:
    """The entries of a batch, up to the one given, which may be any of it."""
    (sealed,) = await store.read(ledger, seq - 1, 1)
    if sealed.entry.batch == seq:
        return [sealed.entry]
    first = sealed.entry.batch
    return [one.entry for one in await store.read(ledger, first - 1, seq - first + 1)]
