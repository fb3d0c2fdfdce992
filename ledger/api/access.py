"""Around every request: an id, a time limit, an answer to whatever goes wrong, a line in the log, its figures."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.api.bodies import ClientGone
from ledger.api.complaints import of_validation
from ledger.api.health import Readiness
from ledger.api.logs import Log
from ledger.api.metrics import Metrics
from ledger.api.problems import Problem, problem
from ledger.api.security import LONG_ROUTES, OPEN_PATHS
from ledger.errors import (
    Internal,
    LedgerError,
    Malformed,
    MethodNotAllowed,
    NoSuchRoute,
    Overloaded,
    Starting,
    Stopping,
    TimedOut,
)
from ledger.settings import Settings

CLIENT_GONE = 499
"""Nobody hears the answer; the status that proxies write into their logs then."""

PASSING = (Overloaded, Starting, Stopping)
"""Of the whole service and not of one request: said once, or shown by its figures."""

ELSEWHERE = "other"
"""The route of what has none: paths that people invent are no label of a metric."""


class Access:
    """ASGI middleware; everything inside may raise, and nothing comes out but an answer."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics, readiness: Readiness, log: Log) -> None:
        self.app = app
        self.timeout_s = settings.request_timeout_s
        self.metrics = metrics
        self.readiness = readiness
        self.log = log
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        began_s = time.perf_counter()
        exchange = _Exchange(scope, send, f"{self._process}-{next(self._numbers)}")
        try:
            await self._answered(scope, receive, exchange)
        finally:
            self._note(scope, exchange, time.perf_counter() - began_s)

    async def _answered(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            if self.readiness.waits_for and scope["path"] not in OPEN_PATHS:
                raise self.readiness.error()
            # Until the answer begins: what is streamed may go on for hours.
            async with asyncio.timeout(self._timeout_s(scope["path"])) as exchange.limit:
                await self.app(scope, receive, exchange.send)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            # The time to drain is over. What is not answered here, uvicorn answers with a bare 500.
            if exchange.status or not self.readiness.stopping:
                raise
            await self._told(exchange, _cut_off())
        except Exception as error:
            await self._told(exchange, error)

    def _timeout_s(self, path: str) -> float | None:
        return None if path.endswith(LONG_ROUTES) else self.timeout_s

    async def _told(self, exchange: _Exchange, error: Exception) -> None:
        ours = self._as_ours(exchange, error)
        answer = problem(ours, exchange.request_id)
        if answer.status >= 500 and not isinstance(ours, PASSING):
            unforeseen = error if isinstance(ours, Internal) else None
            self.log.error("failed", unforeseen, request_id=exchange.request_id, code=ours.code, message=str(error))
        if not exchange.status:
            exchange.limit = None  # it has ended, with what ran under it
            await exchange.refuse(answer)

    def _as_ours(self, exchange: _Exchange, error: Exception) -> LedgerError:
        if isinstance(error, LedgerError):
            return error
        if isinstance(error, TimeoutError) and exchange.limit is not None and exchange.limit.expired():
            return TimedOut(
                f"there was no answer within {self.timeout_s:g} s; a write may have been recorded: send it again with "
                "the same idempotency key"
            )
        if isinstance(error, HTTPException | RequestValidationError):
            return _of_framework(error, exchange.scope.get("route"))
        return Internal("something went wrong in the service; its log has more under this request_id")

    def _note(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        route, status = _route(scope), exchange.status or CLIENT_GONE
        method = scope.get("method", "WEBSOCKET")
        self.metrics.request(route, method, status, seconds)
        # Who asks every few seconds whether we live is no news.
        say = self.log.debug if scope["path"] in OPEN_PATHS else self.log.info
        say(
            "request",
            route=route,
            method=method,
            status=status,
            ms=round(1000 * seconds, 3),
            ledger=scope["path_params"].get("ledger") if "path_params" in scope else None,
            request_id=exchange.request_id,
        )


class _Exchange:
    """One request and what became of it. `status` is 0 until the answer begins; an accepted websocket has 101."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self.scope = scope
        self.request_id = request_id
        self.status = 0
        self.limit: asyncio.Timeout | None = None
        self._send = send
        self._id_header = (b"x-request-id", request_id.encode())

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind != "http.response.body":
            self._begins(kind, message)
        await self._send(message)

    async def refuse(self, answer: Problem) -> None:
        """An error instead of an answer, also to who wanted a websocket."""
        websocket = self.scope["type"] == "websocket"
        if websocket and "websocket.http.response" not in self.scope.get("extensions", {}):
            return await self.send({"type": "websocket.close", "code": 1008})
        prefix = "websocket." if websocket else ""
        start: dict[str, Any] = {"type": prefix + "http.response.start"}
        await self.send(start | {"status": answer.status, "headers": answer.headers})
        await self.send({"type": prefix + "http.response.body", "body": answer.body})
        return None

    def _begins(self, kind: str, message: Message) -> None:
        if kind.endswith("http.response.start"):
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._id_header]
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close":
            self.status = self.status or 403
        else:
            return
        if self.limit is not None:
            self.limit.reschedule(None)


def _cut_off() -> Stopping:
    return Stopping(
        "the service ended before this was answered; a write may have been recorded: send it again with the same "
        "idempotency key"
    )


def _route(scope: Scope) -> str:
    """The path as it was described; of a mount, whatever is asked of it, where it begins. Nothing that people invent:
    what is counted by its route is kept for good.
    """
    route = scope.get("route")
    if route is not None:
        return str(getattr(route, "path", ELSEWHERE))
    if "endpoint" not in scope:
        return ELSEWHERE
    path = scope.get("root_path") or scope["path"]
    return path if any(getattr(known, "path", None) == path for known in scope["app"].routes) else ELSEWHERE


def _of_framework(error: HTTPException | RequestValidationError, route: Any) -> LedgerError:
    if isinstance(error, RequestValidationError):
        return of_validation(error.errors(), route)
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return MethodNotAllowed(f"this path takes {allowed or 'another method'}", allow=allowed or None)
    if error.status_code == 400:
        return Malformed("the body is not JSON in UTF-8, or it is nested too deep")
    return NoSuchRoute("there is nothing at this path; /openapi.json says what there is")
