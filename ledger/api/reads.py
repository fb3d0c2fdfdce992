"""GET /v1/ledgers and what is under it: everything the library reads, as the objects that `--json` prints.

FastAPI handles these: they are not the hot path, and what it checks is what it describes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from msgspec.structs import replace
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from ledger.api.openapi import REVISION, answered, content
from ledger.api.routes import AtLeast, LedgerName
from ledger.model.change import CHANGE_FIRST_MAX
from ledger.model.entry import KINDS
from ledger.model.listing import Wanted
from ledger.model.shown import Shown
from ledger.model.verdict import REASONS, STATES
from ledger.model.view import (
    GRAPH_NODES_MAX,
    LISTED_MAX,
    AuditReport,
    EntryPage,
    EntryView,
    Explanation,
    GraphSlice,
    History,
    LedgerComparison,
    LedgerDiff,
    LedgerNames,
    Remediation,
    Status,
)
from ledger.service.interchange import export_commands, export_entries
from ledger.service.ledgers import Ledgers
from ledger.service.service import LedgerService

ENTRIES_MAX = 1_000
CONTENTS_ENTRIES = 50
"""Read at once: at most as many MiB."""

CONTENTS_BYTES = 8 << 20
"""Of contents in one answer, then it ends and says that more follows."""

EXPORT_BYTES = 64 << 10
"""Gathered before they are sent: each message is a turn of the event loop."""

At = Annotated[
    str | None, Field(description="A revision, tag:NAME, or a moment (RFC 3339): what would have been answered then.")
]
MaxAge = Annotated[float | None, Field(ge=0, description="Seconds after which what nobody looked at counts as fallen.")]

# Described here, and judged by who looks for the entries: for all doors alike.
Kind = Annotated[str, Field(json_schema_extra={"enum": [*KINDS]})]
State = Annotated[str, Field(json_schema_extra={"enum": [*STATES]})]
Reason = Annotated[str, Field(json_schema_extra={"enum": [*REASONS]})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Asked(BaseModel):
    model_config = {"extra": "forbid"}

    at_least: AtLeast = None


class AsOf(Asked):
    at: At = None


class OfOne(AsOf):
    ref: Annotated[str, Field(description="key, key@3, key@sha256:9f2c11aa or @42.")]


class Why(OfOne):
    max_age_s: MaxAge = None


class About(OfOne):
    after: Annotated[int, Field(ge=0, description="Only entries after this number.")] = 0
    limit: Annotated[int, Field(ge=1, le=ENTRIES_MAX, description="At most so many.")] = ENTRIES_MAX


class Around(OfOne):
    depth: Annotated[int | None, Field(ge=0, description="At most so many steps away.")] = None
    limit: Annotated[int, Field(ge=1, le=GRAPH_NODES_MAX, description="At most so many nodes.")] = GRAPH_NODES_MAX


Listed = Annotated[int, Field(ge=1, le=LISTED_MAX, description="At most so many in each list.")]


class Diff(Asked):
    since: Annotated[str, Field(alias="from", description="A revision, or a moment (RFC 3339): the earlier past.")]
    to: Annotated[str | None, Field(description="The later one, the same way; now unless given.")] = None
    limit: Listed = CHANGE_FIRST_MAX


class Compare(AsOf):
    other: Annotated[str, Field(description="The name of the other ledger.")]
    other_at: Annotated[str | None, Field(description="A past of the other ledger, as `at` is one of this.")] = None
    limit: Listed = CHANGE_FIRST_MAX


class Filter(AsOf):
    """`Wanted`, as parameters."""

    kinds: Annotated[list[Kind] | None, Field(description="Only of these kinds.")] = None
    state: Annotated[State | None, Field(description="Only records in this state now.")] = None
    reason: Annotated[Reason | None, Field(description="Only records that are so for this reason.")] = None
    key_prefix: Annotated[str | None, Field(description="Only about keys that start so.")] = None
    actor: Annotated[str | None, Field(description="Only by this actor.")] = None
    about: Annotated[
        str | None, Field(description="Only all versions of the key that this reference names, and all events on them.")
    ] = None
    resting_on: Annotated[
        str | None, Field(description="Only records that rest on what this reference names, directly or not.")
    ] = None
    current: Annotated[bool, Field(description="Only the current version of each key.")] = False
    recorded_since: Annotated[Moment | None, Field(description="Only recorded then or later.")] = None
    recorded_before: Annotated[Moment | None, Field(description="Only recorded earlier.")] = None

    def wanted(self) -> Wanted:
        return Wanted(**self.model_dump(include=set(Filter.model_fields) - set(AsOf.model_fields)))


class Listing(Filter):
    after: Annotated[int, Field(ge=0, description="Only entries after this number.")] = 0
    limit: Annotated[int, Field(ge=1, le=ENTRIES_MAX, description="At most so many.")] = 100
    content: Annotated[bool, Field(description="With what records say, or without.")] = True


class Export(BaseModel):
    model_config = {"extra": "forbid"}

    entries: Annotated[bool, Field(description="The verbatim log, for `restore`; else commands, for `import`.")] = False


class Reads:
    """The routes, of all ledgers of a service."""

    def __init__(self, ledgers: Ledgers) -> None:
        self.ledgers = ledgers
        self._auditing = asyncio.Lock()  # an audit holds the whole log in memory: one at a time

    def router(self) -> APIRouter:
        of_one = APIRouter(prefix="/v1/ledgers/{ledger}")
        for route, answer in (
            (self.entry, EntryView),
            (self.entries, EntryPage),
            (self.why, Explanation),
            (self.history, History),
            (self.diff, LedgerDiff),
            (self.compare, LedgerComparison),
            (self.causes, GraphSlice),
            (self.consequences, GraphSlice),
            (self.remediation, Remediation),
            (self.status, Status),
            (self.audit, AuditReport),
        ):
            of_one.add_api_route(f"/{route.__name__}", route, methods=["GET"], responses=answered(answer))
        of_one.add_api_route("/export", self.export, methods=["GET"], responses=_EXPORTED, response_class=Response)
        found = APIRouter()
        found.add_api_route("/v1/ledgers", self.names, methods=["GET"], responses=answered(LedgerNames))
        found.include_router(of_one)
        return found

    async def names(self) -> Response:
        """The ledgers there are."""
        return _Told(LedgerNames(tuple(await self.ledgers.names())))

    async def entry(self, ledger: LedgerName, asked: Annotated[OfOne, Query()]) -> Response:
        """The entry a reference names; `@42` names an event itself."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(await service.entry(asked.ref, at=asked.at), revision)

    async def entries(self, ledger: LedgerName, asked: Annotated[Listing, Query()]) -> Response:
        """Entries in the order of the log."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        seqs = await service.find(asked.wanted(), after=asked.after, limit=asked.limit + 1, at=asked.at)
        views = await _shown(service, seqs[: asked.limit], content=asked.content, at=asked.at)
        return _Told(EntryPage(revision, tuple(views), more=len(seqs) > len(views)), revision)

    async def why(self, ledger: LedgerName, asked: Annotated[Why, Query()]) -> Response:
        """The verdict, and the path from the root cause to it."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(await service.why(asked.ref, asked.max_age_s, at=asked.at), revision)

    async def history(self, ledger: LedgerName, asked: Annotated[About, Query()]) -> Response:
        """Every version of a key and every event about them, oldest first; and the states these went through."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        told, seqs = await service.history_without_entries(asked.ref, at=asked.at)
        seqs = [seq for seq in seqs if seq > asked.after]
        views = await _shown(service, seqs[: asked.limit], content=True, at=asked.at)
        return _Told(replace(told, entries=tuple(views), more=len(seqs) > len(views)), revision)

    async def diff(self, ledger: LedgerName, asked: Annotated[Diff, Query()]) -> Response:
        """What is different between two pasts: what was recorded, withdrawn and reinstated, what fell and revived."""
        service, _ = await self._as_of(ledger, asked.at_least)
        found = await service.diff(asked.since, asked.to, limit=asked.limit)
        return _Told(found, found.to.revision)

    async def compare(self, ledger: LedgerName, asked: Annotated[Compare, Query()]) -> Response:
        """What is different of the current versions of all keys, here and in another ledger."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        other = await self.ledgers.get(asked.other)
        found = await service.compare(other, at=asked.at, other_at=asked.other_at, limit=asked.limit)
        return _Told(found, revision)

    async def causes(self, ledger: LedgerName, asked: Annotated[Around, Query()]) -> Response:
        """What it rests on, and what felled any of that."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(await service.causes(asked.ref, asked.depth, asked.limit, at=asked.at), revision)

    async def consequences(self, ledger: LedgerName, asked: Annotated[Around, Query()]) -> Response:
        """What rests on it."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(await service.consequences(asked.ref, asked.depth, asked.limit, at=asked.at), revision)

    async def remediation(self, ledger: LedgerName, asked: Annotated[AsOf, Query()]) -> Response:
        """Executed mutations that lost their ground: those to repair first, then those that lapsed."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(Remediation(revision, tuple(await service.remediation(at=asked.at))), revision)

    async def status(self, ledger: LedgerName, asked: Annotated[AsOf, Query()]) -> Response:
        """Head, counts and lag."""
        service, revision = await self._as_of(ledger, asked.at_least, asked.at)
        return _Told(await service.status(at=asked.at), revision)

    async def audit(self, ledger: LedgerName, asked: Annotated[Asked, Query()]) -> Response:
        """Compute everything again from nothing and compare. It takes some seconds for each 100,000 entries."""
        async with self._auditing:
            service, revision = await self._as_of(ledger, asked.at_least)
            return _Told(await service.audit(), revision)

    async def export(self, ledger: LedgerName, asked: Annotated[Export, Query()]) -> Response:
        """The ledger, line by line. An answer that breaks off is not whole."""
        service, revision = await self._as_of(ledger, None)
        lines = export_entries(service) if asked.entries else export_commands(service)
        return StreamingResponse(_gathered(lines), media_type="application/x-ndjson", headers=_headers(revision))

    async def _as_of(self, ledger: str, at_least: str | None, at: str | None = None) -> tuple[LedgerService, str]:
        """A ledger, and the revision asked for: what is read from now on is not older, or just as of then."""
        service = await self.ledgers.get(ledger)
        await service.reach(at_least)
        return service, await service.revision_at(at)


async def _shown(service: LedgerService, seqs: Sequence[int], *, content: bool, at: str | None) -> list[EntryView]:
    """These entries, or the first of them where their contents are too much for one answer."""
    views: list[EntryView] = []
    room_bytes = CONTENTS_BYTES
    for start in range(0, len(seqs), CONTENTS_ENTRIES):
        for seen in await service.seen(seqs[start : start + CONTENTS_ENTRIES], content=content, at=at):
            room_bytes -= seen.content_bytes
            views.append(seen.view)
            if room_bytes <= 0:
                return views
    return views


class _Told(Response):
    """An answer as it is now: nothing between here and the client may keep it. It names its revision."""

    media_type = "application/json"

    def __init__(self, answer: Shown, revision: str | None = None) -> None:
        super().__init__(msgspec.json.encode(answer), headers=_headers(revision))


def _headers(revision: str | None) -> dict[str, str]:
    return {"cache-control": "no-store"} | ({} if revision is None else {"ledger-revision": revision})


async def _gathered(lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    page = bytearray()
    async for line in lines:
        page += line
        if len(page) >= EXPORT_BYTES:
            yield bytes(page)
            page.clear()
    yield bytes(page)


_EXPORTED: dict[int | str, dict[str, Any]] = {
    200: content("A command or an entry a line.", {"application/x-ndjson": {"type": "object"}}, REVISION)
}
