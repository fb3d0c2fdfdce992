"""A state ledger for AI agents: what rests on what, what still stands, and why not.

Start with `Ledger.open` (or `AsyncLedger.open`), wrap a retriever with `Guard`.
"""

from ledger.app import KEEP, AsyncLedger, Ledger
from ledger.errors import LedgerError

__version__ = "0.1.0"
__all__ = ["KEEP", "AsyncLedger", "Ledger", "LedgerError", "__version__"]
