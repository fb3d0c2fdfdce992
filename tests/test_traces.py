"""OpenTelemetry: a span a request where an SDK is there, nothing where it is not wanted."""

from __future__ import annotations

import subprocess
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from ledger.api.tracing import tracing
from tests.serving import serving
from tests.test_http import problem, record

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_a_request_is_a_span() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    async with serving(telemetry=tracing() | {"tracing": True, "tracer_provider": provider}) as service:
        await service.write(record("a", "very private"))
        service.client.headers["traceparent"] = f"00-{TRACE}-b7ad6b7169203331-01"
        assert (await service.check("a")).json()["verdicts"][0]["state"] == "fresh"
        problem(await service.check("a", ledger="other"), 404, "no_such_ledger")
    write, check, refused = exporter.get_finished_spans()
    assert write.name == "POST /v1/ledgers/{ledger}/commands"
    assert check.name == "POST /v1/ledgers/{ledger}/freshness"
    assert check.kind is SpanKind.SERVER
    assert check.attributes is not None
    assert refused.attributes is not None
    assert check.attributes["http.route"] == "/v1/ledgers/{ledger}/freshness"
    assert check.attributes["http.response.status_code"] == 200
    assert refused.attributes["http.response.status_code"] == 404
    assert check.context is not None
    assert f"{check.context.trace_id:032x}" == TRACE  # what the caller began goes on
    assert "private" not in str([span.to_json() for span in (write, check, refused)])


def test_nothing_of_the_sdk_is_imported_unasked() -> None:
    program = "import sys, ledger.api.server; print([name for name in sys.modules if 'opentelemetry.sdk' in name])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_the_environment_turns_it_on(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    assert tracing()["tracing"] is False
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert tracing()["tracing"] is True
