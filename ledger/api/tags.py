"""GET and POST /v1/ledgers/{ledger}/tags: revisions that have names."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from ledger.api.openapi import answered
from ledger.api.reads import Asked
from ledger.api.routes import LedgerName
from ledger.model.shown import Shown
from ledger.model.view import Tagged, Tags
from ledger.service.ledgers import Ledgers


class TagRequest(BaseModel):
    """What is named, and how."""

    model_config = {"extra": "forbid"}

    name: Annotated[str, Field(description="Lower-case letters, digits and . _ -, at most 63, as of a ledger.")]
    revision: Annotated[str | None, Field(description="A revision, or another tag of it; without, the head.")] = None


def tags_router(ledgers: Ledgers) -> APIRouter:
    """The routes, of all ledgers of a service."""

    async def tags(ledger: LedgerName, asked: Annotated[Asked, Query()]) -> Response:
        """The tags, sorted by name: `tag:NAME` is taken wherever a revision is."""
        service = await ledgers.get(ledger)
        await service.reach(asked.at_least)
        revision = await service.revision_at()
        return _told(Tags(revision, tuple(await service.tags())), revision)

    async def tag(ledger: LedgerName, asked: TagRequest) -> Response:
        """Name a revision for good. The same name for the same revision again is fine; for another it is refused."""
        tagged = await (await ledgers.get(ledger)).tag(asked.name, asked.revision)
        return _told(tagged, tagged.revision)

    router = APIRouter(prefix="/v1/ledgers/{ledger}")
    router.add_api_route("/tags", tags, methods=["GET"], responses=answered(Tags))
    router.add_api_route("/tags", tag, methods=["POST"], responses=answered(Tagged))
    return router


def _told(answer: Shown, revision: str) -> Response:
    headers = {"cache-control": "no-store", "ledger-revision": revision}
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=headers)
