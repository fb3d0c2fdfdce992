"""How entries and their neighbourhood are shown to people and programs: ids as text, times as RFC 3339."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from ledger.clock import format_moment, parse_moment
from ledger.model.entry import Head
from ledger.model.shown import Shown
from ledger.model.verdict import Verdict


class EntryView(Shown, frozen=True, kw_only=True):
    """One entry as it was recorded, with today's verdict if it is a record."""

    id: str  # @42
    seq: int
    kind: str
    ref: str  # pep/440@3, or @42 for what has no key
    key: str | None = None
    version: int | None = None
    digest: str | None = None
    content: Any = None  # None for events, and where it was erased
    because: tuple[tuple[str, ...], ...] = ()
    cites: tuple[str, ...] = ()
    supersedes: tuple[str, ...] = ()
    amends: str | None = None
    valid_until: str | None = None
    targets: tuple[str, ...] = ()
    observed: tuple[str, ...] = ()
    mode: str | None = None
    reason: str | None = None
    effective_at: str | None = None
    lifts: tuple[str, ...] = ()
    outcomes: tuple[str, ...] = ()
    actor: str | None = None
    occurred_at: str | None = None
    recorded_at: str
    hash: str
    verdict: Verdict | None = None


class PathStep(Shown, frozen=True):
    """One step from a root cause to what it felled."""

    entry: EntryView
    reason: str | None = None  # why it does not stand; none for the event that began it


class Explanation(Shown, frozen=True):
    """Why a reference is what it is: its verdict, and the path from the root cause to it (empty when fresh)."""

    revision: str
    clock: str
    verdict: Verdict
    path: tuple[PathStep, ...] = ()


class Node(Shown, frozen=True):
    """An edition (by its newest version) or an event, in a slice of the graph."""

    id: str
    ref: str
    kind: str
    state: str | None = None  # none for events
    reason: str | None = None
    depth: int = 0


class Edge(Shown, frozen=True):
    """From the entry that says so to the one it says it of: `source BECAUSE target`, `source REVOKES target`."""

    source: str
    type: str
    target: str


GRAPH_NODES_MAX = 1_000


class GraphSlice(Shown, frozen=True):
    """Part of the causal graph around an entry."""

    revision: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool = False
    hidden: int = 0  # neighbours of shown nodes that are not shown


class Remedy(Shown, frozen=True):
    """An executed mutation without standing grounds: to be repaired, or lapsed (right when done)."""

    entry: EntryView
    needed: bool
    causes: tuple[str, ...]  # the withdrawals that make it so; of a lapsed one, the cause of its verdict


class Status(Shown, frozen=True):
    """Where a ledger stands."""

    ledger: str
    revision: str
    head: int
    hash: str
    recorded_at: str | None
    clock: str
    kinds: dict[str, int]  # entries by kind
    states: dict[str, int]  # keys by the state (and reason) of their current version
    store: str
    lag_s: float  # since all that the store held was known here; 0 where each read looks
    state_seq: int | None = None  # how far states are written to the store's nodes, where it shows them


AuditProgress = Callable[[str, int, int], None]
"""Is told the step, how far it is and how far it goes."""


class AuditReport(Shown, frozen=True):
    """What an audit found; `ok` when nothing."""

    ok: bool
    revision: str
    hash: str
    entries: int
    contents: int
    states: int  # verdicts held against the oracle
    shown_states: int | None  # states on the store's nodes held against the index, where it shows them
    problems: tuple[str, ...] = ()


class ImportReport(Shown, frozen=True):
    """What an import did: commands by outcome (replayed ones apart)."""

    lines: int
    outcomes: dict[str, int]
    replayed: int
    revision: str


class NamedRevision(Shown, frozen=True):
    """A tag, and the revision it names for good."""

    name: str
    revision: str


class Tagged(Shown, frozen=True):
    """A revision that has a name; not `created`: it had it already."""

    name: str
    revision: str
    created: bool


# Lists as they are told to programs: with the revision that they are not older than.


class LedgerNames(Shown, frozen=True):
    """The ledgers of one place, sorted."""

    ledgers: tuple[str, ...]


class EntryPage(Shown, frozen=True):
    """Entries in the order of the log; `more`: others come after the last of them."""

    revision: str
    entries: tuple[EntryView, ...]
    more: bool


LISTED_MAX = 1_000
"""The most that each list of a difference or of a comparison names; the count is always whole."""


class Happening(Shown, frozen=True):
    """What made something so: an entry, or time that passed, when a limit was reached."""

    at: str
    entry: str | None = None  # @57; none: time passed
    kind: str | None = None


class AsOf(Shown, frozen=True):
    """A past: the revision, and the moment as of which it is seen."""

    revision: str
    clock: str


class Listed(Shown, frozen=True):
    """How many entries, and the first of them, without their contents; with the verdict of the later past."""

    count: int = 0
    first: tuple[EntryView, ...] = ()


class Turned(Shown, frozen=True):
    """An edition that fell or revived: its verdict in the later past, and what made it so."""

    verdict: Verdict
    event: Happening


class TurnedList(Shown, frozen=True):
    """How many editions, and the first of them."""

    count: int = 0
    first: tuple[Turned, ...] = ()


class LedgerDiff(Shown, frozen=True, kw_only=True):
    """What is different between two pasts of a ledger."""

    since: AsOf = msgspec.field(name="from")
    to: AsOf
    recorded: Listed  # versions that began an edition, with what has become of them
    amended: Listed  # versions that joined one
    withdrawn: Listed
    reinstated: Listed
    noted: Listed  # verifications, added support, attempts, expiries
    fallen: TurnedList  # of what was there: valid then, and not any more
    revived: TurnedList  # the other way round


class KeyStanding(Shown, frozen=True):
    """The current version of a key in one of two ledgers."""

    ref: str  # pep/440@3
    id: str  # @42
    digest: str
    state: str
    reason: str | None = None


class KeyPair(Shown, frozen=True):
    """A key in two ledgers; none where it is not."""

    key: str
    here: KeyStanding | None = None
    there: KeyStanding | None = None


class KeyPairs(Shown, frozen=True):
    """How many keys, and the first of them, sorted."""

    count: int = 0
    first: tuple[KeyPair, ...] = ()


class LedgerComparison(Shown, frozen=True, kw_only=True):
    """Two ledgers key by key: what is different of the current versions."""

    here: AsOf
    there: AsOf
    only_here: KeyPairs
    only_there: KeyPairs
    content: KeyPairs  # they say something else
    verdict: KeyPairs  # state or reason is another
    same: int  # keys of which neither is different


INTERVALS_MAX = 100
"""The most that a history tells of editions, and of the states of each: the last of them; the count is always whole."""


class Interval(Shown, frozen=True, kw_only=True):
    """A state that something was in, from what brought it to what ended it."""

    since: Happening
    until: Happening | None = None  # none: it goes on
    state: str
    reason: str | None = None
    cause: str | None = None  # as it was when this began; none for fresh, and where it would take too long to find


class Intervals(Shown, frozen=True):
    """How many states, and the last of them."""

    count: int
    last: tuple[Interval, ...]


class EditionHistory(Shown, frozen=True):
    """What became of an edition."""

    id: str  # its first version, as @42
    ref: str  # its newest version then, as pep/440@3
    states: Intervals


class EditionHistories(Shown, frozen=True):
    """How many editions, and the last of them, in the order they were born."""

    count: int
    last: tuple[EditionHistory, ...]


class History(Shown, frozen=True):
    """All entries about one thing, oldest first, and the states that its editions went through.

    It is a sequence of the entries.
    """

    revision: str
    clock: str
    entries: tuple[EntryView, ...]
    editions: EditionHistories
    more: bool = False  # over HTTP: others come after the last of them

    def __iter__(self) -> Iterator[EntryView]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, place: int) -> EntryView:
        return self.entries[place]


class Remediation(Shown, frozen=True):
    """Executed mutations that lost their ground."""

    revision: str
    remediation: tuple[Remedy, ...]


class Tags(Shown, frozen=True):
    """The tags of a ledger, sorted by name."""

    revision: str
    tags: tuple[NamedRevision, ...]


class Restored(Shown, frozen=True):
    """A log that was brought back, up to its head."""

    revision: str
    entries: int
    hash: str
    recorded_at: str | None  # None: the log is empty

    @classmethod
    def upto(cls, head: Head, revision: str) -> Restored:
        """The log up to this head."""
        moment = format_moment(head.recorded_at_us) if head.seq else None
        return cls(revision, head.seq, head.hash.hex(), moment)

    @property
    def head(self) -> Head:
        moment_us = 0 if self.recorded_at is None else parse_moment(self.recorded_at)
        return Head(self.entries, bytes.fromhex(self.hash), moment_us)
