"""A store that fails on purpose, by a seed: refusals, lost acknowledgements, and other writers who are faster."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ledger.errors import Unavailable
from ledger.model.canonical import canonical_content, digest_of_bytes
from ledger.model.entry import EMPTY, Belief, Head, Sealed, seal
from ledger.store.base import NodeState
from ledger.store.memory import MemoryStore


class FaultyStore(MemoryStore):
    """A memory store in which `share` of the calls go wrong in one of the ways a database can."""

    def __init__(self, seed: int, share: float = 0.3) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self.share = share
        self.healthy = False
        self.faults: list[str] = []

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        match self._fault("refused", "lost acknowledgement", "another writer was first", "both"):
            case "refused":
                raise Unavailable("refused on purpose")
            case "lost acknowledgement":
                await super().append(ledger, expects, entries)
                raise Unavailable("committed, but the answer was lost on purpose")
            case "another writer was first":
                await intrude(self, ledger)
            case "both":
                await super().append(ledger, expects, entries)
                await intrude(self, ledger)
                raise Unavailable("committed, another wrote behind it, and the answer was lost on purpose")
        await super().append(ledger, expects, entries)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        if self._fault("read refused"):  # `read` comes here too
            raise Unavailable("read refused on purpose")
        return await super().pick(ledger, seqs, content=content)

    def _fault(self, *kinds: str) -> str | None:
        if self.healthy or self.random.random() >= self.share:
            return None
        self.faults.append(self.random.choice(kinds))
        return self.faults[-1]


async def intrude(store: MemoryStore, ledger: str) -> None:
    """Another process writes an entry of its own."""
    head = await store.head(ledger) or EMPTY
    form = canonical_content({"intruder": head.seq})
    entry = Belief(
        seq=head.seq + 1,
        batch=head.seq + 1,
        recorded_at_us=max(head.recorded_at_us, 1),
        digest=digest_of_bytes(form),
    )
    await MemoryStore.append(store, ledger, head, [seal(entry, head.hash, form.decode())])
