"""The store port: what the service asks of an engine. Small on purpose; `ledger.testing` holds every engine to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import is_
from typing import Generic, NamedTuple, TypeVar

from ledger.model.entry import Head, Sealed
from ledger.model.tag import Tag

LEASE_S = 5.0
"""How long the right to write states is held without being taken anew."""

PAGE_ENTRIES = 5_000
"""Entries read at once. On Neo4j, collected columns of 5,000 come at 110-160,000 entries/s, single rows at 10,000."""

PAGE_CHARS = 8_000_000
"""Of contents read at once, and the content that goes beyond: 5,000 of a MiB would be held as a whole."""


T = TypeVar("T")


class NodeState(NamedTuple):
    """The state of a version, as people see it who look into the store with its own tools."""

    seq: int
    state: str
    reason: str | None


class Collected(NamedTuple):
    """A stretch of the log as two columns, so that there is no row to be handled: contents are not among them."""

    envelopes: bytes
    """A JSON array of them, in order."""
    hashes: bytes
    """32 bytes of each."""


class Store(ABC):
    """Keeps the logs of many ledgers. Nothing here judges; entries come sealed.

    Every method raises Unavailable when the engine does not answer, and another StoreError for what is wrong for good.
    """

    poll_s: float | None = None
    """Seconds between looks for what other processes wrote; None: `moved` tells, and it is asked at each read."""

    is_server: bool = False
    """Whether a commit is the work of another process, so that this one can do something else meanwhile."""

    schema_version: int | None = None
    """The layout that this version of the package writes, where the engine has one."""

    schema_found: int | None = None
    """The layout that `open` found, and brought to that if it was told to `create`: 0 if there was none, None if it did
    not look."""

    @property
    def place(self) -> str | None:
        """Where the logs lie, told apart from other places as seen from this machine; None: nowhere that lasts."""
        return None

    @abstractmethod
    async def open(self, *, create: bool) -> None:
        """Connect, and make an empty place ready if `create`. Raises NoSuchDatabase, SchemaMismatch, ReadOnly."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of everything. May be called twice."""

    @abstractmethod
    async def ledgers(self) -> list[str]:
        """Names of all ledgers, sorted."""

    @abstractmethod
    async def head(self, ledger: str) -> Head | None:
        """The last entry of a ledger; None if it does not exist."""

    @abstractmethod
    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        """Add all entries, or none, durably; and drop the contents their erasures name.

        `states` are those of the new records, for stores that show states to people; others ignore them.

        Raises HeadMoved when the head is not `expects`. Raises Unavailable when the outcome is unknown: the caller
        finds out by reading. A ledger that does not exist is created by its first append (`expects` is EMPTY).
        """

    def prepare(  # noqa: B027
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        """An `append` of exactly these is to come, when another that is under way has ended.

        A courtesy: an engine can make ready meanwhile what it will send.
        """

    @abstractmethod
    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        """Up to `limit` entries with seq > `after`, in order; their contents too if asked, else None.

        With contents fewer, but one at least, where those are more than PAGE_CHARS (`one_page`).
        """

    async def collect(self, ledger: str, after: int, limit: int = PAGE_ENTRIES) -> Collected:
        """What `read` gives, as columns; engines that can collect them themselves do so."""
        page = await self.read(ledger, after, limit)
        return collected([sealed.envelope for sealed in page], [sealed.hash for sealed in page])

    @abstractmethod
    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        """These entries, in the order asked; numbers that do not exist are left out."""

    @abstractmethod
    async def put_tag(self, ledger: str, tag: Tag) -> Tag | None:
        """Give a revision its name, durably; where the name is taken, nothing is written: the tag that has it.

        Of several processes that take a name at once, one gets it. Whether the log has that revision is not asked.
        Raises NoSuchLedger: a tag creates none.
        """

    @abstractmethod
    async def tags(self, ledger: str) -> list[Tag]:
        """All tags of a ledger, sorted by name; none if it does not exist."""

    async def hold(self) -> None:  # noqa: B027
        """Keep other processes from writing until the next `append`, or `release`: for who was too late once.

        A courtesy of engines that have a lock for it; `append` compares the head all the same. Raises Locked.
        """

    async def release(self) -> None:  # noqa: B027
        """Let others write again, if nothing is to be appended."""

    def moved(self, ledger: str, seen: Head) -> bool:
        """Whether the ledger may have grown past `seen`. Costs microseconds, never waits, may say yes needlessly."""
        return False


class Packing(Generic[T]):
    """Makes of the arguments of an append what it sends, by `pack`; and keeps it, if it was made ahead (`prepare`)."""

    def __init__(self, pack: Callable[[str, Head, Sequence[Sealed], Sequence[NodeState]], T]) -> None:
        self._pack = pack
        self._ahead: tuple[Sequence[object], int, T] | None = None

    def prepare(self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState]) -> None:
        asked = ledger, expects, entries, states
        self._ahead = asked, len(entries), self._pack(*asked)

    def __call__(self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState]) -> T:
        asked = ledger, expects, entries, states
        ahead, self._ahead = self._ahead, None
        if ahead is not None and all(map(is_, ahead[0], asked)) and ahead[1] == len(entries):
            return ahead[2]
        return self._pack(*asked)


def collected(envelopes: Iterable[bytes], hashes: Iterable[bytes]) -> Collected:
    """Columns of what there is of each entry."""
    return Collected(b"[" + b",".join(envelopes) + b"]", b"".join(hashes))


def one_page(entries: Iterable[Sealed]) -> Iterator[Sealed]:
    """Entries until their contents are PAGE_CHARS."""
    chars = 0
    for sealed in entries:
        yield sealed
        chars += len(sealed.content or "")
        if chars >= PAGE_CHARS:
            return


class StateStore(Store):
    """A store that shows states on its nodes, written behind the head by whoever holds the lease."""

    @abstractmethod
    async def take_lease(self, ledger: str, holder: str, seconds: float) -> int | None:
        """Hold (or keep) the right to write states; the seq they are written up to, or None if another holds it."""

    @abstractmethod
    async def write_states(self, ledger: str, holder: str, states: Sequence[NodeState], upto: int) -> None:
        """Write states as of entry `upto`, never over newer ones, and then remember that they go that far.

        Takes any number at once and keeps the lease while it writes. Raises Locked when another took it.
        """

    @abstractmethod
    async def states_upto(self, ledger: str) -> int:
        """How far states are written; 0 for a ledger that does not exist."""

    @abstractmethod
    async def read_states(self, ledger: str) -> tuple[int, dict[int, tuple[str | None, str | None]]]:
        """How far states are written, and (state, reason) of every record by seq."""
