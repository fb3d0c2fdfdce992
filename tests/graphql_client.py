"""How tests ask over GraphQL: through the real schema, and a public client where the wire matters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette

from ledger.api.schema import Limits, build_schema, graphql_routes
from ledger.service.ledgers import Ledgers

SCHEMA = build_schema()


async def ask(ledgers: Ledgers, text: str, *, limits: Limits | None = None, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, errors = await told(ledgers, text, limits=limits, **variables)
    assert not errors, errors
    return data


async def refused(ledgers: Ledgers, text: str, *, limits: Limits | None = None, **variables: Any) -> dict[str, Any]:
    """The only error of an operation: its message, and what its extensions say."""
    _, errors = await told(ledgers, text, limits=limits, **variables)
    (error,) = errors
    return {"message": error["message"], **error["extensions"]}


async def told(
    ledgers: Ledgers, text: str, *, limits: Limits | None = None, **variables: Any
) -> tuple[Any, list[dict[str, Any]]]:
    """Data and errors."""
    schema = SCHEMA if limits is None else build_schema(limits)
    result = await schema.execute(text, variable_values=variables, context_value=ledgers)
    return result.data, [dict(error.formatted) for error in result.errors or ()]


@contextlib.asynccontextmanager
async def served(ledgers: Ledgers, limits: Limits | None = None, **options: Any) -> AsyncIterator[str]:
    """A server; gives where it is, such as 127.0.0.1:40123."""
    app = Starlette(routes=graphql_routes(ledgers, limits or Limits(), **options))
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:
                await asyncio.sleep(0.01)
        yield "{}:{}".format(*server.servers[0].sockets[0].getsockname())
    finally:
        server.should_exit = True
        await running
