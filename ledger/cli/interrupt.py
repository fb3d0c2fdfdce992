"""What Ctrl-C answers: before the rest is imported too, so nothing of it is needed here."""

from __future__ import annotations

import os

EXIT_INTERRUPTED = 130


def interrupted(args: list[str]) -> str:
    """The line on standard error; the rest may be imported by half, so it is not asked for it."""
    if wants_json(args):
        return '{"code":"interrupted","message":"interrupted","retry":true}'
    return "error: interrupted (interrupted)"


def wants_json(args: list[str]) -> bool:
    return "--json" in args or os.environ.get("LEDGER_JSON", "").lower() in ("1", "true", "yes", "on", "t", "y")
