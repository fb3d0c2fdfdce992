"""The service over HTTP: `create_app` in `application`.

server       the process: it listens, opens the store, ends in order
application  the routes, and what lies around them
routes       those of a ledger, and the short way to the hot one
freshness    POST /v1/ledgers/{ledger}/freshness, the hot path
commands     POST /v1/ledgers/{ledger}/commands
complaints   what is wrong with parameters and bodies, in our words
health       /healthz, /readyz, and what the service waits for while it starts
metrics      /metrics
access       around every request: an id, a time limit, its errors, a line in the log, its figures
schema       /graphql: the GraphQL schema, its routes and its page
security     who may ask, and for how much: Host, Origin, API key, content type, body size
problems     from an error to status and body
openapi      routes that FastAPI describes and does not handle
bodies       reading a request and sending an answer as plain ASGI
logs         the log, for people or as JSON
tracing      OpenTelemetry, where it is wanted
"""
