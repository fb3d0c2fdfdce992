"""The service as an ASGI application: its routes, and what lies around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from ledger.api.access import Access
from ledger.api.commands import Commands
from ledger.api.freshness import Freshness
from ledger.api.health import Readiness
from ledger.api.impact import Impacts
from ledger.api.logs import Log
from ledger.api.metrics import CONTENT_TYPE, Metrics
from ledger.api.openapi import ERRORS, Alive, Ready, Waiting, with_components
from ledger.api.reads import Reads
from ledger.api.restoring import Restore, restore_route
from ledger.api.routes import Shortcut, commands_route, freshness_route, impact_route
from ledger.api.schema import Limits, graphql_routes
from ledger.api.schema.limits import DEFAULTS
from ledger.api.security import Security
from ledger.api.tags import tags_router
from ledger.api.tracing import tracing
from ledger.api.withdrawal import withdrawal_routes
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings

VERSION = "1"


class Service(FastAPI):
    """A FastAPI application with layers around its own, so that nothing is answered but by them."""

    def __init__(self, around: Sequence[Middleware], **given: Any) -> None:
        self._around = around  # from the outermost in
        super().__init__(**given)

    def build_middleware_stack(self) -> ASGIApp:
        app = super().build_middleware_stack()
        for layer, args, kwargs in reversed(self._around):
            app = layer(app, *args, **kwargs)
        return app


def create_app(
    ledgers: Ledgers,
    settings: Settings,
    *,
    readiness: Readiness | None = None,
    log: Log | None = None,
    telemetry: TelemetryConfig | None = None,
) -> FastAPI:
    """The service over ledgers that its caller opens and closes.

    With `readiness` he says what there is to wait for; `telemetry` is FastAPI's, by default as the environment has it.
    """
    log = log or Log(settings)
    metrics = Metrics(ledgers, settings, log)
    readiness = readiness or Readiness(ledgers)
    hot = [freshness_route(Freshness(ledgers, settings)), commands_route(Commands(ledgers, settings))]
    around = _around(settings, metrics, readiness, log)
    telemetry = telemetry or tracing()
    if not telemetry.get("tracing"):
        around.append(Middleware(Shortcut, *hot))
    app = Service(
        around,
        title="Ledger",
        version=VERSION,
        description="A state ledger for AI agents: what rests on what, what still stands, and why not.",
        docs_url=None,  # the pages FastAPI brings load from an outside host
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers=dict.fromkeys((HTTPException, RequestValidationError, Exception), _raised_again),
        responses=ERRORS,
        telemetry=telemetry,
    )
    app.state.readiness, app.state.metrics = readiness, metrics
    app.router.routes += [
        *hot,
        restore_route(Restore(ledgers)),
        impact_route(Impacts(ledgers, settings)),
        *withdrawal_routes(ledgers),
    ]
    app.router.routes += graphql_routes(ledgers, _limits(settings), allowed_origins=settings.allowed_origins)
    app.include_router(Reads(ledgers).router())
    app.include_router(tags_router(ledgers))
    _add_own_routes(app, readiness, metrics)
    app.openapi = with_components(app)  # type: ignore[method-assign]
    return app


def _around(settings: Settings, metrics: Metrics, readiness: Readiness, log: Log) -> list[Middleware]:
    """From the outermost in."""
    around = [
        Middleware(Access, settings=settings, metrics=metrics, readiness=readiness, log=log),
        Middleware(Security, settings=settings),
    ]
    if settings.allowed_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("authorization", "content-type"),
        )
        around.insert(0, cors)
    return around


def _limits(settings: Settings) -> Limits:
    """Those of GraphQL; its objects cost more than the bytes of `freshness`, so of references it takes fewer."""
    return Limits(
        tokens_max=settings.graphql_tokens_max,
        depth_max=settings.graphql_depth_max,
        aliases_max=settings.graphql_aliases_max,
        cost_max=settings.graphql_cost_max,
        page_max=settings.graphql_page_max,
        page_default=min(settings.graphql_page_max, DEFAULTS.page_default),
        refs_max=min(settings.refs_max, DEFAULTS.refs_max),
        commands_max=settings.commands_max,
    )


def _add_own_routes(app: FastAPI, readiness: Readiness, metrics: Metrics) -> None:
    @app.get("/healthz")
    async def alive() -> Alive:
        """The process lives."""
        return Alive()

    @app.get("/readyz", responses={503: {"model": Waiting, "description": "It waits for something."}})
    async def ready(response: Response) -> Ready | Waiting:
        """Whether requests can be answered; if not, what the service waits for."""
        missing = await readiness.look()
        if missing is None:
            return Ready()
        response.status_code = 503
        return Waiting(waits_for=missing)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def figures() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(), media_type=CONTENT_TYPE)


async def _raised_again(_: Request, error: Exception) -> NoReturn:
    """Errors of the framework are answered where all others are."""
    raise error
