"""What the queries answer, entries aside: checks, explanations, slices of the graph, the ledger itself."""

from __future__ import annotations

import strawberry
from strawberry import ID, Private

from ledger.api.schema.desk import Desk
from ledger.api.schema.entries import Entry, Verdict, shown_verdict, told
from ledger.api.schema.words import DateTime, EdgeType, Kind, Reason, State
from ledger.clock import format_moment
from ledger.model import view
from ledger.model.entry import revision_token
from ledger.model.verdict import Report
from ledger.service.browsing import kinds_counted, states_counted


@strawberry.type(description="The answer to a check: all of it as of one revision and moment.")
class FreshnessReport:
    desk: Private[Desk]
    report: Private[Report]
    revision: str = told("The revision it holds for, such as `main@1042.9f3c1a2b`.")
    clock: DateTime = told("The moment it holds for.")
    # One list of texts costs a tenth of as many objects: most callers only want to know what they may use.
    fresh: list[ID] = told("The references that may be used, in the order asked.")

    @strawberry.field(description="The verdicts of all others, in the order asked.")
    def withheld(self) -> list[Verdict]:
        return [shown_verdict(self.desk, one) for one in self.report.withheld]

    @strawberry.field(description="The verdicts of all references, in the order asked.")
    def verdicts(self) -> list[Verdict]:
        return [shown_verdict(self.desk, one) for one in self.report.verdicts]


@strawberry.type(description="One step from a root cause to what it felled.")
class PathStep:
    entry: Entry = told("The entry.")
    reason: str | None = told("Why it does not stand; none for the event that began it.", Reason | None)


@strawberry.type(description="Why a reference is what it is.")
class Explanation:
    revision: str = told("The revision it holds for.")
    clock: DateTime = told("The moment it holds for.")
    verdict: Verdict = told("The verdict.")
    path: list[PathStep] = told("From the root cause to the entry; empty if that is fresh.")


@strawberry.type(description="An edition (by its newest version) or an event, in a slice of the graph.")
class GraphNode:
    desk: Private[Desk]
    id: ID = told("The entry, as `@42`.")
    ref: ID = told("How people name it.")
    kind: str = told("What it is.", Kind)
    state: str | None = told("Whether it stands; none for events.", State | None)
    reason: str | None = told("Why not.", Reason | None)
    depth: int = told("Steps from where the slice begins.")

    @strawberry.field(description="The entry itself.")
    async def entry(self) -> Entry:
        found: Entry = await self.desk.entry(int(self.id[1:]))
        return found


@strawberry.type(description="From the entry that says so to the one it says it of.")
class GraphEdge:
    source: ID = told("The entry that says so, as `@42`.")
    type: str = told("What it says.", EdgeType)
    target: ID = told("The entry it says it of.")


@strawberry.type(description="Part of the causal graph around an entry.")
class GraphSlice:
    revision: str = told("The revision it holds for.")
    nodes: list[GraphNode] = told("What is shown, nearest first.")
    edges: list[GraphEdge] = told("How these hang together.")
    truncated: bool = told("Whether more hangs on it than is shown.")
    hidden: int = told("How many neighbours of shown nodes are not shown.")


@strawberry.type(description="How many entries of a kind there are.")
class KindCount:
    kind: str = told("The kind.", Kind)
    count: int = told("Its entries.")


@strawberry.type(description="How many keys are in a state.")
class StateCount:
    state: str = told("The state of their current version.", State)
    reason: str | None = told("Its reason.", Reason | None)
    count: int = told("The keys.")


@strawberry.type(description="Where a ledger stands.")
class Ledger:
    desk: Private[Desk]
    name: str = told("Its name.")
    revision: str = told("Its head, as a token: what `atLeast` takes.")
    head: int = told("The number of its last entry.")
    hash: str = told(
        "The hash of its last entry, in full: who keeps it can prove later that nothing before was changed."
    )
    recorded_at: DateTime | None = told("When the last entry was recorded.")
    clock: DateTime = told("The moment it holds for: now, as the ledger sees it, or that of the past asked for.")
    lag_s: float = told("Seconds since all that the store held was known here; 0 where each read looks.")

    @strawberry.field(description="Entries by kind.")
    def kinds(self) -> list[KindCount]:
        with self.desk.reading() as reader:
            counted = sorted(kinds_counted(reader.index).items())
        return [KindCount(kind=kind, count=count) for kind, count in counted]

    @strawberry.field(description="Keys by the state of their current version.")
    def states(self) -> list[StateCount]:
        with self.desk.reading() as reader:
            counted = states_counted(reader).items()
        rows = sorted(counted, key=lambda row: (row[0][0], row[0][1] or ""))
        return [StateCount(state=state, reason=reason, count=count) for (state, reason), count in rows]


def shown_report(desk: Desk, report: Report) -> FreshnessReport:
    """What the schema shows of a check."""
    return FreshnessReport(
        desk=desk,
        report=report,
        revision=report.revision,
        clock=DateTime(report.clock),
        fresh=report.fresh,  # type: ignore[arg-type]
    )


def shown_slice(desk: Desk, found: view.GraphSlice) -> GraphSlice:
    """What the schema shows of a slice."""
    nodes = [
        GraphNode(
            desk=desk,
            id=ID(one.id),
            ref=ID(one.ref),
            kind=one.kind,
            state=one.state,
            reason=one.reason,
            depth=one.depth,
        )
        for one in found.nodes
    ]
    edges = [GraphEdge(source=ID(one.source), type=one.type, target=ID(one.target)) for one in found.edges]
    return GraphSlice(revision=found.revision, nodes=nodes, edges=edges, truncated=found.truncated, hidden=found.hidden)


async def shown_ledger(desk: Desk) -> Ledger:
    """What the schema shows of a ledger as a whole."""
    then = None if desk.at is None else await desk.service.head_at(desk.at)
    with desk.reading() as reader:
        head, clock_us = then or desk.service.live.head, reader.index.clock_us
        return Ledger(
            desk=desk,
            name=desk.name,
            revision=revision_token(desk.name, head.seq, head.hash),
            head=head.seq,
            hash=head.hash.hex(),
            recorded_at=DateTime(format_moment(head.recorded_at_us)) if head.seq else None,
            clock=DateTime(format_moment(clock_us)),
            lag_s=round(desk.service.lag_s, 3),
        )
