"""OpenTelemetry traces: a span a request, by FastAPI itself, where an SDK is installed (`pip install '….[otel]'`).

Exporters are configured as everywhere, by `OTEL_…` variables; without any of them, and without the SDK, nothing is
traced, nothing of it is imported, and a request pays nothing for it.
"""

from __future__ import annotations

import importlib.util
import os

from fastapi.telemetry import TelemetryConfig


def tracing() -> TelemetryConfig:
    """What FastAPI is told. Its metrics and logs stay off: we have our own."""
    wanted = any(name.startswith("OTEL_") for name in os.environ)
    return {
        "tracing": wanted and importlib.util.find_spec("opentelemetry.sdk") is not None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "auto_configure": True,
    }
