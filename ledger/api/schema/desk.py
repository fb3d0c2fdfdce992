"""One ledger within one operation, now or in the past: entries are loaded in batches, one read of the store for each
level of the query."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from strawberry.dataloader import DataLoader

from ledger.api.schema.limits import Budget, Limits
from ledger.clock import format_moment
from ledger.service.browsing import Due, acts_due, checked_us, entry_named
from ledger.service.ledgers import Ledgers
from ledger.service.service import LedgerService, Seen
from ledger.validity.verdicts import Reader

CONTENTS_AT_ONCE = 100
"""Read before their sizes are counted: at most 100 MiB."""


class Desk:
    """Entries of one ledger as of one past (None: now), each loaded once; `build` makes what the schema shows of them.

    Whatever is reached from here is told as of that past.
    """

    def __init__(
        self,
        service: LedgerService,
        budget: Budget,
        build: Callable[[Desk, Seen], Any],
        *,
        contents: bool,
        at: str | None = None,
    ) -> None:
        self.service = service
        self.at = at
        self._budget = budget
        self._build = build
        self._contents = contents
        self._due: dict[int, Due] = {}
        self._undecided: list[int] = []
        self._loader: DataLoader[int, Any] = DataLoader(self._load)

    @property
    def name(self) -> str:
        return self.service.name

    def reading(self, max_age_s: float | None = None) -> AbstractContextManager[Reader]:
        """One state to look at, as `LedgerService.reading`. Raises Malformed for an `at` that is no past."""
        return self.service.reading(max_age_s, self.at)

    def entry(self, seq: int) -> Awaitable[Any]:
        """One entry by its number."""
        return self._loader.load(seq)

    async def entries(self, seqs: Iterable[int]) -> list[Any]:
        """Entries in the order asked."""
        return list(await self._loader.load_many(seqs))

    async def groups(self, groups: Sequence[Sequence[int]]) -> list[list[Any]]:
        """The same for groups of entries."""
        loaded = iter(await self.entries(seq for group in groups for seq in group))
        return [[next(loaded) for _ in group] for group in groups]

    async def named(self, ref: str) -> Any:
        """The entry a reference names. Raises NotFound, Ambiguous, Malformed."""
        with self.reading() as reader:
            seq = entry_named(reader.index, ref)
        return await self.entry(seq)

    def checked_at(self, seq: int) -> str:
        """When somebody last looked at the edition of a record."""
        with self.reading() as reader:
            return format_moment(checked_us(reader.index, seq))

    def due(self, seq: int) -> Due | None:
        """What is to be done about a mutation loaded here, if anything is: all of a level are looked at together."""
        if self._undecided:
            with self.reading() as reader:
                editions = dict.fromkeys(reader.index.edition[one] for one in self._undecided)
                self._due |= {due.seq: due for due in acts_due(reader, editions)}
            self._undecided = []
        return self._due.get(seq)

    async def _load(self, seqs: list[int]) -> list[Any]:
        self._budget.take_entries(len(seqs))
        self._undecided += seqs
        step = CONTENTS_AT_ONCE if self._contents else len(seqs)
        built: list[Any] = []
        for start in range(0, len(seqs), step):
            seen = await self.service.seen(seqs[start : start + step], content=self._contents, at=self.at)
            self._budget.take_contents(sum(one.content_bytes for one in seen))
            built += [self._build(self, one) for one in seen]
        return built


class Operation:
    """What the resolvers of one operation share; never used for another, so nothing in it grows old."""

    def __init__(
        self, ledgers: Ledgers, limits: Limits, build: Callable[[Desk, Seen], Any], *, contents: bool = True
    ) -> None:
        self.ledgers = ledgers
        self.limits = limits
        self._build = build
        self._contents = contents
        self._budget = Budget(limits)
        self._desks: dict[tuple[str, str | None], Desk] = {}

    async def desk(self, ledger: str, at: str | None = None, *, ready: bool = True) -> Desk:
        """For reading, as of now or `at` a past: what one past loaded answers for no other.

        Raises NoSuchLedger, Malformed, ForeignRevision, StoreError; Behind when nothing may be said. A check says that
        itself, reference by reference: it needs nothing `ready`.
        """
        service = await self.ledgers.get(ledger)
        if ready:
            await (service.follower.refresh() if at is None else service.revision_at(at))
        desk = self._desks.get((ledger, at))
        if desk is None or desk.service is not service:
            desk = self._desks[ledger, at] = self.new_desk(service, at)
        return desk

    def another(self) -> Operation:
        """The same, with nothing loaded yet: for the next event of a subscription."""
        return Operation(self.ledgers, self.limits, self._build, contents=self._contents)

    def new_desk(self, service: LedgerService, at: str | None = None) -> Desk:
        """One that has seen nothing yet: what a write did is not what was read before it."""
        return Desk(service, self._budget, self._build, contents=self._contents, at=at)
