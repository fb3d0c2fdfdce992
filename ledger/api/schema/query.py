"""The reads."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry import ID

from ledger.api.schema.answers import (
    Explanation,
    FreshnessReport,
    GraphSlice,
    Ledger,
    PathStep,
    shown_ledger,
    shown_report,
    shown_slice,
)
from ledger.api.schema.arguments import At, CommandInput, EntryFilter, LedgerName, Ref, arg
from ledger.api.schema.comparing import Comparisons
from ledger.api.schema.desk import Operation
from ledger.api.schema.entries import Entry, shown_verdict
from ledger.api.schema.impact import Impact, shown_impact
from ledger.api.schema.limits import not_over, page_size, within
from ledger.api.schema.pages import EntryConnection, Place, page, place_of
from ledger.api.schema.tags import Tag, shown_tags
from ledger.api.schema.withdrawal import WithdrawalInput, WithdrawalPlan, shown_plan
from ledger.api.schema.words import DateTime
from ledger.clock import format_moment
from ledger.model.bounds import check_number
from ledger.model.impact import IMPACT_NAMES
from ledger.service.browsing import explained
from ledger.validity.graph import acts_without_ground

Info = strawberry.Info[Operation, None]

First = Annotated[int | None, arg("How many at most; the server has a default and a limit.")]
After = Annotated[str | None, arg("The cursor of the last entry seen.")]
MaxAge = Annotated[int | None, arg("Dependencies not looked at for so many seconds count as fallen.")]
Depth = Annotated[int | None, arg("How many steps to go at most.")]
Most = Annotated[int | None, arg("How many nodes to show at most.")]


@strawberry.type(description="Reads. A reference that cannot be resolved gives null, and an error with its code.")
class Query(Comparisons):
    @strawberry.field(description="The entry a reference names. `@42` names an event itself.")
    async def entry(self, info: Info, ref: Ref, ledger: LedgerName = "main", at: At = None) -> Entry | None:
        found: Entry = await (await info.context.desk(ledger, at)).named(ref)
        return found

    @strawberry.field(description="The log, page by page.")
    async def entries(
        self,
        info: Info,
        ledger: LedgerName = "main",
        filter: Annotated[EntryFilter | None, arg("Which entries; all that is given must fit.")] = None,
        first: First = None,
        after: After = None,
        newest_first: Annotated[bool, arg("Against the order of the log.")] = False,
        at: At = None,
    ) -> EntryConnection:
        size = page_size(first, info.context.limits)
        place = place_of(after, 1)
        desk = await info.context.desk(ledger, at)
        seqs = await desk.service.find(
            (filter or EntryFilter()).wanted(),
            after=place[0] if place else None,
            limit=size + 1,
            newest_first=newest_first,
            at=at,
        )
        return await page(desk, [(seq,) for seq in seqs], size, after)

    @strawberry.field(
        description="Whether references may be used. Never fails because of a reference: unknown is a verdict."
    )
    async def freshness(
        self,
        info: Info,
        refs: Annotated[list[ID], arg("What to check.")],
        ledger: LedgerName = "main",
        at_least: Annotated[str | None, arg("A revision that the answer must not be older than.")] = None,
        max_age_s: MaxAge = None,
        full: Annotated[bool, arg("Ask the store for all it holds first.")] = False,
        at: At = None,
    ) -> FreshnessReport:
        not_over("refs", refs, info.context.limits.refs_max, "refs")
        desk = await info.context.desk(ledger, at, ready=False)
        report = await desk.service.check(refs, max_age_s, at=at, at_least=at_least, full=full)
        desk.service.figures.note_report(report)
        return shown_report(desk, report)

    @strawberry.field(description="Why a reference is what it is.")
    async def why(
        self, info: Info, ref: Ref, ledger: LedgerName = "main", max_age_s: MaxAge = None, at: At = None
    ) -> Explanation | None:
        desk = await info.context.desk(ledger, at)
        with desk.reading(max_age_s) as reader:
            verdict, steps = explained(reader, ref)
            revision, clock_us = desk.service.live.revision_of(reader.index.upto), reader.index.clock_us
        entries = await desk.entries(step.seq for step in steps)
        return Explanation(
            revision=revision,
            clock=DateTime(format_moment(clock_us)),
            verdict=shown_verdict(desk, verdict),
            path=[PathStep(entry=entry, reason=step.reason) for entry, step in zip(entries, steps, strict=True)],
        )

    @strawberry.field(description="What it rests on, and the events that felled any of that.")
    async def causes(
        self,
        info: Info,
        ref: Ref,
        ledger: LedgerName = "main",
        depth: Depth = None,
        limit: Most = None,
        at: At = None,
    ) -> GraphSlice | None:
        desk = await info.context.desk(ledger, at)
        return shown_slice(desk, await desk.service.causes(ref, _depth(depth), _most(info, limit), at=at))

    @strawberry.field(description="What rests on it.")
    async def consequences(
        self,
        info: Info,
        ref: Ref,
        ledger: LedgerName = "main",
        depth: Depth = None,
        limit: Most = None,
        at: At = None,
    ) -> GraphSlice | None:
        desk = await info.context.desk(ledger, at)
        return shown_slice(desk, await desk.service.consequences(ref, _depth(depth), _most(info, limit), at=at))

    @strawberry.field(
        description="Executed mutations that lost their ground: those to be repaired first, then those that lapsed."
    )
    async def remediation(
        self, info: Info, ledger: LedgerName = "main", first: First = None, after: After = None, at: At = None
    ) -> EntryConnection:
        size = page_size(first, info.context.limits)
        last = place_of(after, 2)
        desk = await info.context.desk(ledger, at)
        with desk.reading() as reader:
            index = reader.index
            acts = acts_without_ground(index, index.acted_us)
            places: list[Place] = [(0 if act.needed else 1, index.newest[act.edition]) for act in acts]
        beyond = [place for place in sorted(places) if last is None or place > last]
        return await page(desk, beyond[: size + 1], size, after)

    @strawberry.field(
        description="What `apply` would do with these commands now; nothing is recorded. A refusal is an error."
    )
    async def impact(
        self,
        info: Info,
        commands: Annotated[list[CommandInput], arg("In order; each sees what those before it would do.")],
        ledger: LedgerName = "main",
        limit: Annotated[int | None, arg("How many of what falls and revives to name at most.")] = None,
        at_least: Annotated[str | None, arg("A revision that the answer must not be older than.")] = None,
    ) -> Impact:
        not_over("commands", commands, info.context.limits.commands_max, "commands")
        most = _names(info, limit)
        desk = await info.context.desk(ledger, ready=False)
        await desk.service.reach(at_least)
        batch = {"op": "batch", "commands": [each.command() for each in commands]}
        return shown_impact(await desk.service.impact(batch, limit=most))

    @strawberry.field(
        description="What a filter would withdraw, and what would fall with it. Nothing is changed; `withdraw` does it."
    )
    async def plan_withdrawal(
        self,
        info: Info,
        input: Annotated[WithdrawalInput, arg("Which editions, and how.")],
        ledger: LedgerName = "main",
        limit: Annotated[int | None, arg("How many to name in each list at most.")] = None,
    ) -> WithdrawalPlan:
        most = _names(info, limit)
        desk = await info.context.desk(ledger)
        return shown_plan(desk, await desk.service.plan_withdrawal(input.asked(), limit=most))

    @strawberry.field(description="Where a ledger stands.")
    async def ledger(self, info: Info, name: LedgerName = "main", at: At = None) -> Ledger | None:
        return await shown_ledger(await info.context.desk(name, at))

    @strawberry.field(description="The revisions that have names, sorted by them.")
    async def tags(self, info: Info, ledger: LedgerName = "main") -> list[Tag]:
        return shown_tags(await (await info.context.ledgers.get(ledger)).tags())

    @strawberry.field(description="The names of the ledgers there are, sorted.")
    async def ledgers(self, info: Info) -> list[str]:
        return await info.context.ledgers.names()


def _depth(depth: int | None) -> int | None:
    if depth is not None:
        check_number(depth, "depth")
    return depth


def _most(info: Info, limit: int | None) -> int:
    """How many nodes at most; unless that is said, all that the server allows."""
    most = info.context.limits.nodes_max
    if limit is None:
        return most
    check_number(limit, "limit", least=1)
    return within("nodes", limit, most, "limit")


def _names(info: Info, limit: int | None) -> int:
    """How many names in a list at most; none too."""
    if limit is None:
        return IMPACT_NAMES
    check_number(limit, "limit")
    return within("nodes", limit, info.context.limits.nodes_max, "limit")
