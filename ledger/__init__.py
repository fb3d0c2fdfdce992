"""A state ledger for AI agents: what rests on what, what still stands, and why not.

Start with `Ledger.open` (or `AsyncLedger.open`), or with `LedgerClient` where a service keeps the ledger; wrap a
retriever with `Guard`.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as typing's, which takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from ledger.app import AsyncLedger, Ledger
    from ledger.client import AsyncLedgerClient, LedgerClient
    from ledger.errors import LedgerError
    from ledger.model.writing import KEEP

__version__ = "0.1.0"
__all__ = ["KEEP", "AsyncLedger", "AsyncLedgerClient", "Ledger", "LedgerClient", "LedgerError", "__version__"]

_HOMES = {
    "AsyncLedger": "ledger.app",
    "AsyncLedgerClient": "ledger.client",
    "KEEP": "ledger.model.writing",
    "Ledger": "ledger.app",
    "LedgerClient": "ledger.client",
    "LedgerError": "ledger.errors",
}


def __getattr__(name: str) -> Any:
    """What somebody asks for is imported then: who has the ledger in his process does not wait for httpx, and the
    command line can guard its own imports against Ctrl-C."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    globals()[name] = found = getattr(import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
