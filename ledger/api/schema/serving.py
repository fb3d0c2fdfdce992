"""GraphQL over HTTP, server-sent events and WebSocket (`graphql-transport-ws`), and the page to try it on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import orjson
from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.http.base import BaseRequestProtocol
from strawberry.http.streaming import AsyncTextStream, HTTPStreamTransport
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import Message
from strawberry.types.execution import ExecutionResult, PreExecutionError

from ledger.api.schema.building import build_schema
from ledger.api.schema.limits import DEFAULTS, Limits
from ledger.api.schema.line import Line
from ledger.assets import asset
from ledger.errors import LedgerError, Malformed
from ledger.model.canonical import parse_json, well_formed
from ledger.service.ledgers import Ledgers

PLAIN_JSON, GRAPHQL_JSON = "application/json", "application/graphql-response+json"

PAGE_POLICY = (
    "default-src 'none'; connect-src 'self'; script-src 'self'; worker-src 'self'; font-src 'self' data:; "
    "img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content security policy: the page loads from us alone. Its editor writes styles inline, and nothing else."""

PAGE_HEADERS = {
    "content-security-policy": PAGE_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Ledger: GraphQL</title></head>
<body>
<h1>GraphQL is here; its page is not built</h1>
<p>Operations are answered at this address (<code>POST</code>, <code>application/json</code>). To have the page as well,
run <code>make ide</code> where the ledger is checked out (it needs Node.js and npm), and load this again. The schema is
in <code>graphql/schema.graphql</code>.</p>
</body></html>
"""


def graphql_routes(
    ledgers: Ledgers,
    limits: Limits = DEFAULTS,
    *,
    path: str = "/graphql",
    allowed_origins: Sequence[str] = (),
    page: Path | None = None,
) -> list[BaseRoute]:
    """What serves GraphQL at `path`: routes, since a mount would send `/graphql` on to `/graphql/`.

    `allowed_origins` may open WebSockets beside the own one. `page` is the folder of the built page, if not ours.
    """
    folder = _page_folder() if page is None else page
    view = _View(ledgers, limits, allowed_origins, folder)
    files = [Mount(f"{path}/ide", _Files(directory=folder))] if folder is not None and folder.is_dir() else []
    return [
        *files,
        Route(path, view, methods=["GET", "POST"], name="graphql"),
        WebSocketRoute(path, view, name="graphql_changes"),
    ]


class _Messages(BaseGraphQLTransportWSHandler[Ledgers, None]):
    async def handle_message(self, message: Message) -> None:
        """A message whose parts are of other kinds than they must be ends the connection with a word, too."""
        try:
            await super().handle_message(message)
        except (TypeError, AttributeError):
            await self.handle_invalid_message("Failed to parse message")


class _View(GraphQL[Ledgers, None]):
    graphql_transport_ws_handler_class = _Messages

    def __init__(self, ledgers: Ledgers, limits: Limits, allowed_origins: Sequence[str], page: Path | None) -> None:
        super().__init__(
            build_schema(limits),
            graphql_ide="graphiql",  # ours, see `render_graphql_ide`
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL),
            max_subscriptions_per_connection=limits.streams_max,
            allowed_origins=allowed_origins,
        )
        self.ledgers = ledgers
        self.limits = limits
        self.page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = Line(receive, send, self.limits.send_s_max)
        if scope["type"] == "websocket":
            await self.run(WebSocket(scope, line.receive, line.send))
            return
        try:
            response = await self.run(Request(scope, receive))
        except HTTPException as error:
            response = _refusal(error.status_code, Malformed(error.reason))
        except LedgerError as error:
            response = _refusal(400, error)
        try:
            with contextlib.suppress(WebSocketDisconnect):  # it is a stream of events, and nobody takes them
                await response(scope, receive, line.send)
        finally:
            if isinstance(response, StreamingResponse):
                await _close(response.body_iterator)

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Ledgers:
        return self.ledgers

    async def get_sub_response(self, request: Request | WebSocket) -> Response:
        """Notes whether the client knows GraphQL's own media type: `create_response` is not shown the request."""
        noted = await super().get_sub_response(request)
        noted.media_type = GRAPHQL_JSON if GRAPHQL_JSON in request.headers.get("accept", "") else PLAIN_JSON
        return noted

    async def process_result(self, request: Request, result: ExecutionResult) -> GraphQLHTTPResponse:
        """What was refused before it ran has no data, not even null."""
        response = await super().process_result(request, result)
        if isinstance(result, PreExecutionError):
            del response["data"]
        return response

    def create_response(
        self, response_data: GraphQLHTTPResponse | list[GraphQLHTTPResponse], sub_response: Response
    ) -> Response:
        """Who knows GraphQL's own media type is told by the status too that nothing ran; all others get 200."""
        refused = sub_response.media_type == GRAPHQL_JSON and "data" not in response_data
        return Response(self.encode_json(response_data), 400 if refused else 200, media_type=sub_response.media_type)

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """For browsers only: who sends `*/*` is a program, and is told what is missing."""
        wanted = request.headers.get("accept", "")
        return request.method == "GET" and request.query_params.get("query") is None and "text/html" in wanted

    def _stream_result(self, request: Request, result: Any, transport: HTTPStreamTransport) -> AsyncTextStream:
        """Closed here, one after the other: left to the garbage collector they would be closed in no order at all, and
        the ledger would go on telling changes to nobody."""
        streaming = super()._stream_result(request, result, transport)

        async def stream() -> AsyncGenerator[str]:
            texts = streaming()
            try:
                async for text in texts:
                    yield text
            finally:
                await _close(texts)
                await _close(result)

        return stream

    async def render_graphql_ide(self, request: Request) -> Response:
        file = None if self.page is None else self.page / "index.html"
        text = file.read_text(encoding="utf-8") if file is not None and file.is_file() else NOT_BUILT
        return HTMLResponse(text, headers=PAGE_HEADERS)

    def parse_json(self, data: str | bytes) -> Any:
        """Of HTTP: as strict as everywhere (duplicate keys, large integers). Raises Malformed, TooLarge."""
        value = parse_json(data)
        if not isinstance(value, dict | list):
            raise Malformed("a GraphQL request is an object with `query`, and its variables are an object")
        return value

    def decode_json(self, data: str | bytes) -> object:
        """Of a WebSocket, where another error would end the connection without a word."""
        try:
            return self.parse_json(data)
        except LedgerError as error:
            raise json.JSONDecodeError(error.message, "", 0) from error

    def encode_json(self, data: object) -> str:
        try:
            return orjson.dumps(data).decode()
        except orjson.JSONEncodeError:  # a reference that was asked for is no text, and is shown as one
            return well_formed(json.dumps(data, ensure_ascii=False))


async def _close(stream: Any) -> None:
    if hasattr(stream, "aclose"):
        await stream.aclose()


class _Files(StaticFiles):
    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers.update(PAGE_HEADERS)
        return response


def _page_folder() -> Path | None:
    try:
        return asset("explorer", "ide", "dist")
    except FileNotFoundError:
        return None


def _refusal(status: int, error: LedgerError) -> Response:
    """What is no GraphQL request, told as GraphQL tells errors."""
    extensions = error.outward()
    body = {"errors": [{"message": extensions.pop("message"), "extensions": extensions}]}
    return Response(orjson.dumps(body), status, media_type="application/json")
