"""/openapi.json says what there is, and what there is keeps to it: whatever is sent, no error of ours comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ledger.api.application import create_app
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings
from ledger.store.memory import MemoryStore
from tests.serving import process

DESCRIPTION = create_app(Ledgers(MemoryStore()), Settings.read()).openapi()
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
# What a law refuses, no schema tells (`positive_data_acceptance`); and a POST without a content type is refused before
# anybody looks whether its path takes one (`unsupported_method`).
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@schemathesis.serializer("application/x-ndjson")
def one_line(_: Any, value: Any) -> bytes:
    """The schema is that of a line, and a line is a body too."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@schemathesis.deserializer("application/x-ndjson")
def lines(context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:
    """Each line is held against the schema here, and the first once more by Schemathesis."""
    operation = DESCRIPTION["paths"][context.operation.path][context.operation.method]
    schema = operation["responses"][str(response.status_code)]["content"]["application/x-ndjson"]["schema"]
    line_schema = jsonschema_rs.validator_for(schema | {"components": DESCRIPTION["components"]})
    found = [json.loads(line) for line in response.content.splitlines()]
    for line in found:
        line_schema.validate(line)
    return found[0]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("openapi")
    with process(folder) as started:
        url = started.ready()
        for ledger in ("0", "main"):
            record = {"op": "record", "kind": "belief", "key": "0", "content": None}
            assert httpx.post(f"{url}/v1/ledgers/{ledger}/commands", json=record).status_code == 200
        yield url
        log = [json.loads(line) for line in started.errors.read_bytes().splitlines()]
        assert not [line for line in log if line["level"] == "error"]


@SCHEMA.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_sent_is_answered_as_described(case: schemathesis.Case, url: str) -> None:
    answer = case.call(base_url=url)
    case.validate_response(answer, checks=CHECKS)


def test_everything_is_described() -> None:
    for path in DESCRIPTION["paths"].values():
        for operation in path.values():
            assert operation["description"]
            assert "422" not in operation["responses"]
            schema = operation["responses"]["default"]["content"]["application/json"]["schema"]
            assert schema == {"$ref": "#/components/schemas/Problem"}


def test_every_reference_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                yield from references(inner)

    known = {f"#/components/schemas/{name}" for name in DESCRIPTION["components"]["schemas"]}
    assert set(references(DESCRIPTION)) <= known
