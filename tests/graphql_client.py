"""How tests ask over GraphQL: through the real schema, and a public client where the wire matters."""

from __future__ import annotations

from typing import Any

from ledger.api.schema import Limits, build_schema
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
