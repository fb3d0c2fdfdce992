"""The routes of a ledger: plain ASGI inside, described for /openapi.json outside."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from pydantic import Field
from starlette.types import ASGIApp, Receive, Scope, Send

from ledger.api.commands import PARTLY, Commands
from ledger.api.freshness import Freshness
from ledger.api.impact import Impacts
from ledger.api.openapi import (
    COMMAND,
    CREATED,
    FRESHNESS_REPORT,
    FRESHNESS_REQUEST,
    RESULT,
    RESULT_OR_PROBLEM,
    DescribedRoute,
    answered,
    content,
)
from ledger.model.impact import IMPACT_NAMES, IMPACT_NAMES_MAX, Impact

_LEDGERS = "/v1/ledgers/"

LedgerName = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$", description="A tenant or an environment.")]
AtLeast = Annotated[str | None, Field(description="A revision that the answer is not older than.")]
Names = Annotated[int, Query(ge=0, le=IMPACT_NAMES_MAX, description="At most so many names in a list.")]
Atomic = Annotated[bool, Query(description="All lines as one batch, or each line as a batch of its own.")]


def freshness_route(app: Freshness) -> DescribedRoute:
    def freshness(ledger: LedgerName) -> None:
        """Verdicts for references, in the order asked. One that cannot be resolved is `unknown`, never an error."""

    return DescribedRoute(
        "/v1/ledgers/{ledger}/freshness",
        app,
        freshness,
        takes={"application/json": FRESHNESS_REQUEST},
        gives={200: content("The verdicts.", {"application/json": FRESHNESS_REPORT})},
    )


def commands_route(app: Commands) -> DescribedRoute:
    def commands(ledger: LedgerName, atomic: Atomic = True) -> None:
        """Record, revoke, reinstate, verify: a command a line, and a result a line. Writing creates the ledger."""

    return DescribedRoute(
        "/v1/ledgers/{ledger}/commands",
        app,
        commands,
        takes={"application/json": COMMAND, "application/x-ndjson": COMMAND},
        gives={
            200: content("A result for each line.", {"application/x-ndjson": RESULT}, CREATED),
            PARTLY: content("Results, then a refusal.", {"application/x-ndjson": RESULT_OR_PROBLEM}, CREATED),
        },
    )


def impact_route(app: Impacts) -> DescribedRoute:
    def impact(
        ledger: LedgerName,
        at_least: AtLeast = None,
        limit: Names = IMPACT_NAMES,
    ) -> None:
        """What these commands would do as one atomic batch. Nothing is recorded."""

    return DescribedRoute(
        "/v1/ledgers/{ledger}/impact",
        app,
        impact,
        takes={"application/json": COMMAND, "application/x-ndjson": COMMAND},
        gives=answered(Impact),
    )


class Shortcut:
    """ASGI middleware that takes routes past the framework's own layers: a third of what a small check costs.

    Each of `routes` is `/v1/ledgers/{ledger}/` and a word; what does not look like one goes the usual way.
    """

    def __init__(self, app: ASGIApp, *routes: DescribedRoute) -> None:
        self.app = app
        self._routes = {route.path.rpartition("/")[2]: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(_LEDGERS):
            name, _, word = path[len(_LEDGERS) :].partition("/")
            if name and (route := self._routes.get(word)) is not None and scope.get("method") == "POST":
                scope["route"], scope["path_params"] = route, {"ledger": name}
                return await route.app(scope, receive, send)
        return await self.app(scope, receive, send)
