"""The memory store: the port in its plainest form, to be read as its specification. Nothing outlives the process."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec.structs import replace

from ledger.errors import HeadMoved, NoSuchLedger
from ledger.model.entry import EMPTY, Head, Revocation, Sealed, head_after
from ledger.model.tag import Tag
from ledger.store.base import PAGE_ENTRIES, NodeState, Store, one_page


class MemoryStore(Store):
    """Logs in lists. Several services may share one instance, as several processes share a database."""

    def __init__(self) -> None:
        self._logs: dict[str, list[Sealed]] = defaultdict(list)
        self._tags: dict[str, dict[str, Tag]] = defaultdict(dict)

    async def open(self, *, create: bool) -> None:
        pass

    async def close(self) -> None:
        pass

    async def ledgers(self) -> list[str]:
        return sorted(name for name, log in self._logs.items() if log)

    async def head(self, ledger: str) -> Head | None:
        return self._head(ledger) if self._logs.get(ledger) else None

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        head = self._head(ledger)
        if head != expects:
            raise HeadMoved(f"{ledger!r} is at {head.seq}, not at {expects.seq}")
        log = self._logs[ledger]
        log.extend(entries)
        for sealed in entries:
            if isinstance(sealed.entry, Revocation):
                for seq in sealed.entry.erases:
                    log[seq - 1] = replace(log[seq - 1], content=None)

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        upto = min(after + limit, len(self._logs.get(ledger, ())))
        return list(one_page(await self.pick(ledger, range(after + 1, upto + 1), content=content)))

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        log = self._logs.get(ledger, [])
        found = [log[seq - 1] for seq in seqs if 0 < seq <= len(log)]
        return found if content else [replace(sealed, content=None) for sealed in found]

    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        if not self._logs.get(ledger):
            raise NoSuchLedger(f"there is no ledger {ledger!r}", ledger=ledger)
        taken = self._tags[ledger].get(tag.name)
        self._tags[ledger].setdefault(tag.name, tag)
        return taken

    async def tags(self, ledger: str) -> list[Tag]:
        return sorted(self._tags.get(ledger, {}).values())

    def moved(self, ledger: str, seen: Head) -> bool:
        return self._head(ledger) != seen

    def _head(self, ledger: str) -> Head:
        log = self._logs.get(ledger)
        return head_after(log[-1]) if log else EMPTY
