"""The schema as it is run: with limits before, caches beside, and errors that say their code behind."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import strawberry
from graphql import (
    GraphQLError,
    GraphQLID,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)
from strawberry.extensions import MaxTokensLimiter, ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext, StreamResult
from strawberry.types import ExecutionContext
from strawberry.types.execution import ExecutionResult, PreExecutionError

from ledger.api.schema.desk import Operation
from ledger.api.schema.entries import TYPES, shown_entry
from ledger.api.schema.limits import DEFAULTS, Limits, within
from ledger.api.schema.measuring import surveyed
from ledger.api.schema.mutation import Mutation
from ledger.api.schema.query import Query
from ledger.api.schema.subscription import Subscription
from ledger.api.schema.telling import tell
from ledger.api.schema.words import SCALARS
from ledger.errors import LedgerError, Malformed, TooLarge

logger = logging.getLogger(__name__)


class Schema(strawberry.Schema):
    """Errors say their code; what nobody foresaw is logged here and not told."""

    limits: Limits

    async def execute(self, query: Any, variable_values: Any = None, *args: Any, **kwargs: Any) -> ExecutionResult:
        return self._refused(query, variable_values) or await super().execute(query, variable_values, *args, **kwargs)

    async def stream(self, query: Any, variable_values: Any = None, *args: Any, **kwargs: Any) -> StreamResult:
        refused = self._refused(query, variable_values)
        return _only(refused) if refused else await super().stream(query, variable_values, *args, **kwargs)

    def _refused(self, query: Any, variable_values: Any) -> PreExecutionError | None:
        """What is no operation at all, or longer than we read."""
        try:
            if not isinstance(query, str | None) or not isinstance(variable_values, dict | None):
                raise Malformed("query is text, and variables are an object")
            within("query_bytes", len((query or "").encode(errors="replace")), self.limits.query_bytes_max)
        except LedgerError as error:
            told = GraphQLError(error.message, original_error=error)
            self.process_errors([told])
            return PreExecutionError(data=None, errors=[told])
        return None

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        for error in errors:
            tell(error, logger)


async def _only(result: PreExecutionError) -> AsyncGenerator[PreExecutionError]:
    yield result


class _TextLists(StrawberryGraphQLCoreExecutionContext):
    """A list of texts that the schema calls IDs or strings is its own answer: 1,000 cost 2 ms item by item, 0.04 so."""

    def complete_list_value(self, return_type: GraphQLList[Any], *args: Any, **kwargs: Any) -> Any:
        result = kwargs["result"] if "result" in kwargs else args[3]
        item = return_type.of_type
        texts = isinstance(item, GraphQLNonNull) and item.of_type in (GraphQLID, GraphQLString)
        if texts and type(result) is list and all(type(one) is str for one in result):
            return result
        return super().complete_list_value(return_type, *args, **kwargs)


class _Parsed(ParserCache):
    """What cannot be parsed is left to whoever parses next: he tells of it, over streams as well."""

    def on_parse(self) -> Iterator[None]:
        context = self.execution_context
        with contextlib.suppress(GraphQLError):
            context.graphql_document = self.cached_parse_document(context.query, **context.parse_options)
        yield


class _Measured(ValidationCache):
    """Measures first: what is over a limit is not worth validating, and to validate it may take long. Then gives the
    operation a context of its own."""

    def __init__(self, limits: Limits) -> None:
        super().__init__(maxsize=limits.documents_cached)
        self.limits = limits

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        assert context.graphql_document is not None
        survey = surveyed(context.schema._schema, context.graphql_document, self.limits)
        try:
            survey.shape(context.operation_name, context.variables or {}).check(self.limits)
        except TooLarge as error:
            context.pre_execution_errors = [GraphQLError(error.message, original_error=error)]
            yield
            return
        # The context of a WebSocket lasts, and an operation must not read what another one loaded.
        context.context = Operation(context.context, self.limits, shown_entry, contents=survey.contents)
        yield from super().on_validate()


def build_schema(limits: Limits = DEFAULTS) -> Schema:
    """The schema, held to these limits. Execute it with `Ledgers` as the context."""
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=list(TYPES.values()),
        extensions=[
            lambda: MaxTokensLimiter(limits.tokens_max),
            lambda: _Parsed(maxsize=limits.documents_cached),
            lambda: _Measured(limits),
        ],
        execution_context_class=_TextLists,
        config=StrawberryConfig(scalar_map=SCALARS),
    )
    schema.limits = limits
    _drop_null_defaults(schema)
    return schema


def _drop_null_defaults(schema: Schema) -> None:
    """What Python leaves as None is no default to tell of: `first: Int`, not `first: Int = null`."""
    for type_ in schema._schema.type_map.values():
        if isinstance(type_, GraphQLInputObjectType):
            fields: list[Any] = list(type_.fields.values())
        elif isinstance(type_, GraphQLObjectType):
            fields = [argument for field in type_.fields.values() for argument in field.args.values()]
        else:
            continue
        for one in fields:
            if one.default_value is None:
                one.default_value = Undefined
