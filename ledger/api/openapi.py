"""Routes that FastAPI describes in /openapi.json and does not handle.

For a request of a hundred references its own handling (dependencies, models, exit stacks) takes as long as the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.responses import Response
from starlette.types import ASGIApp

from ledger.api.freshness import FreshnessReport, FreshnessRequest
from ledger.model import view
from ledger.model.command import Command
from ledger.model.impact import Impact
from ledger.model.result import BatchResult, Result
from ledger.model.shown import Shown
from ledger.model.withdrawal import PlannedWithdrawal, WithdrawalPlan, Withdrawing, Withdrawn

READ = (
    view.LedgerNames,
    view.EntryView,
    view.EntryPage,
    view.Explanation,
    view.History,
    view.LedgerDiff,
    view.LedgerComparison,
    view.GraphSlice,
    view.Remediation,
    view.Status,
    view.AuditReport,
    view.Restored,
    view.Tags,
    view.Tagged,
    Impact,
    WithdrawalPlan,
    Withdrawn,
)

REF = "#/components/schemas/{}"


class Problem(BaseModel):
    """What went wrong: the same shape for every error. More fields tell where (`line`, `field`) and what (`ref`, …)."""

    model_config = {"extra": "allow"}

    code: str = Field(description="Stable; docs/errors.md has them all.")
    message: str = Field(description="One sentence for people.")
    retry: bool = Field(description="Whether the same request may succeed later.")


class Alive(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Requests can be answered."""

    status: Literal["ready"] = "ready"


class Waiting(BaseModel):
    """Requests cannot be answered yet, or not now."""

    status: Literal["waiting"] = "waiting"
    waits_for: str


class DescribedRoute(APIRoute):
    """An ASGI application at a path, with a description that FastAPI does not check."""

    def __init__(
        self,
        path: str,
        app: ASGIApp,
        describes: Callable[..., None],
        *,
        takes: dict[str, dict[str, Any]],
        gives: dict[int | str, dict[str, Any]],
    ) -> None:
        super().__init__(
            path,
            describes,
            methods=["POST"],
            response_model=None,
            response_class=Response,
            responses=gives | ERRORS,
            openapi_extra={"requestBody": {"required": True, "content": _by_type(takes)}},
        )
        self.app = app


def named(*types: type) -> dict[str, Any]:
    """One of these, by reference into the components."""
    named = [{"$ref": REF.format(one.__name__)} for one in types]
    return named[0] if len(named) == 1 else {"anyOf": named}


COMMAND = {"$ref": REF.format("Command")}
FRESHNESS_REQUEST = named(FreshnessRequest)
FRESHNESS_REPORT = named(FreshnessReport)
RESULT = named(Result, BatchResult)
RESULT_OR_PROBLEM = named(Result, BatchResult, Problem)
REVISION = {"Ledger-Revision": {"description": "What the answer is not older than.", "schema": {"type": "string"}}}
CREATED = {"Ledger-Created": {"description": "The ledger these lines made.", "schema": {"type": "string"}}}


def content(what: str, schemas: dict[str, dict[str, Any]], headers: dict[str, Any] | None = None) -> dict[str, Any]:
    """An answer by its content types."""
    return {"description": what, "content": _by_type(schemas)} | ({"headers": headers} if headers else {})


def answered(answer: type[Shown]) -> dict[int | str, dict[str, Any]]:
    """The responses of a route that answers with this."""
    return {200: content(answer.__doc__ or "", {"application/json": named(answer)}, REVISION)}


def _by_type(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: {"schema": one} for name, one in schemas.items()}


ERRORS: dict[int | str, dict[str, Any]] = {"default": content("An error.", {"application/json": named(Problem)})}


def with_components(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """`app.openapi` with the schemas that our own routes refer to."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            components = plain()["components"]["schemas"]
            structs = (
                FreshnessRequest,
                FreshnessReport,
                Result,
                BatchResult,
                *READ,
                Withdrawing,
                PlannedWithdrawal,
                Command,
            )
            (*_, command), schemas = msgspec.json.schema_components(structs, ref_template=REF.format("{name}"))
            components |= schemas | {"Command": command, "Problem": Problem.model_json_schema()}
        assert app.openapi_schema is not None
        return app.openapi_schema

    return openapi
