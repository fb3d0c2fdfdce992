"""How errors are told in `errors`: with a stable code, and nothing of what happened inside."""

from __future__ import annotations

import re
from logging import Logger

from graphql import FieldNode, GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from ledger.errors import Internal, LedgerError, Malformed, TooLarge

_PARSER_GAVE_UP = "Parsing aborted"
"""How graphql-core ends what it says of a document over its limits; a test holds it to that."""


def tell(error: GraphQLError, logger: Logger) -> None:
    """Give an error its code, in place. What nobody foresaw is logged and told as `internal`."""
    known = _known(error)
    if isinstance(known, Internal):
        logger.error("an operation failed: %s", error.message, exc_info=error.original_error)
    facts = known.outward()
    error.message = facts.pop("message")
    error.extensions = {
        camel_case(name): camel_case(value) if name == "field" else value for name, value in facts.items()
    }


def camel_case(name: str) -> str:
    """A field as the schema spells it: `idempotencyKey`."""
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _known(error: GraphQLError) -> LedgerError:
    match error.original_error:
        case LedgerError() as ours:
            return ours
        case GraphQLError(original_error=None) as inner if error.path is not None and not _names_a_value(inner):
            pass  # what we answer is not what the schema says it is: the caller cannot help it
        case GraphQLError() as inner:
            return _known(inner)
        case MissingQueryError() | CannotGetOperationTypeError() | InvalidOperationTypeError():
            return Malformed(error.message)
        case None if isinstance(error, GraphQLSyntaxError) and _PARSER_GAVE_UP in error.message:
            limit = "tokens" if "tokens" in error.message else "depth"
            return TooLarge(error.message.removeprefix("Syntax Error: "), limit=limit)
        case None:
            return Malformed(error.message)  # the operation is not valid
    return Internal("something went wrong here; it has been logged")


def _names_a_value(error: GraphQLError) -> bool:
    """Whether it points at something given with the operation: else it is about what a field was answered with."""
    return any(not isinstance(node, FieldNode) for node in error.nodes or ())
