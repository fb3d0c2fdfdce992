"""A ledger that a running service keeps: `LedgerClient` is to `Ledger` what HTTP is to a file.

exchange   a request, an answer, and the steps of a call
asking     every method of the ledger as the requests it makes; no wire
importing  import_lines, in windows
watching   changes: the question, and what comes of it
address    where the service is, and who asks
trouble    what httpx and the service say that goes wrong, in our errors
engine     sends requests by httpx, again where that is safe; once with an event loop, once without
clients    LedgerClient and AsyncLedgerClient
"""

from ledger.client.clients import AsyncLedgerClient, LedgerClient

__all__ = ["AsyncLedgerClient", "LedgerClient"]
