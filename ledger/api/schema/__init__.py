"""GraphQL: the schema, its limits, and the routes that serve it."""

from ledger.api.schema.building import build_schema
from ledger.api.schema.limits import Limits
from ledger.api.schema.serving import graphql_routes

__all__ = ["Limits", "build_schema", "graphql_routes"]
