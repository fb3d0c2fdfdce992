"""A state ledger for AI agents: what rests on what, what still stands, and why not.

Start with `Ledger.open` (or `AsyncLedger.open`), or with `LedgerClient` where a service keeps the ledger; wrap a
retriever with `Guard`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ledger.app import AsyncLedger, Ledger
from ledger.errors import LedgerError
from ledger.model.writing import KEEP

if TYPE_CHECKING:
    from ledger.client import AsyncLedgerClient, LedgerClient

__version__ = "0.1.0"
__all__ = ["KEEP", "AsyncLedger", "AsyncLedgerClient", "Ledger", "LedgerClient", "LedgerError", "__version__"]


def __getattr__(name: str) -> Any:
    """The clients, imported when somebody asks for them: who has the ledger in his process does not wait for httpx."""
    if name in ("AsyncLedgerClient", "LedgerClient"):
        from ledger import client

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
