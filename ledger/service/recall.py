"""What the log remembers of idempotency keys (law 11)."""

from __future__ import annotations

from collections.abc import Sequence, Set

from ledger.model.command import BatchCommand, Command, ReinstateCommand
from ledger.model.entry import WHOLE_BATCH, Entry, Request
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
    answered = live.answered(keys)
    seqs = sorted({seq for entries in answered.values() for seq in entries})
    if not seqs:
        return {}
    found: dict[str, Remembered] = {}
    # Each entry once, all together: of a batch sent again as many are asked for as it has commands.
    for entry in [sealed.entry for sealed in await store.pick(live.name, seqs)]:
        for request in entry.requests:
            key = request.idempotency_key
            if key is not None and entry.seq in answered.get(key, ()):
                found[key] = Remembered(entry, request, await _others(store, live.name, entry, request))
    return found


async def _others(store: Store, ledger: str, entry: Entry, request: Request) -> Sequence[Entry]:
    """The entries before the one that answers a whole batch; none for a single command, whose own entry is enough."""
    if request.position != WHOLE_BATCH or entry.batch == entry.seq:
        return ()
    return [one.entry for one in await store.read(ledger, entry.batch - 1, entry.seq - entry.batch)]
