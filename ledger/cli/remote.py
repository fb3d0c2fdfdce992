"""A service as the store of a command: who asks, and how long it is waited for."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ledger.cli.files import read_whole
from ledger.client import LedgerClient
from ledger.errors import LedgerError, Unauthorized, Unavailable

CONNECT_S = 3.0
"""A person who gave a wrong address shall not wait half a minute to hear of it."""


@contextlib.contextmanager
def client_of(address: str, ledger: str, api_key_file: str | None) -> Iterator[LedgerClient]:
    """The client of a command; what keeps it out is told with the way in."""
    with LedgerClient(address, ledger, api_key=_api_key(api_key_file), connect_s=CONNECT_S) as client:
        try:
            yield client
        except LedgerError as error:
            if isinstance(error, Unauthorized):
                error.details.setdefault("note", "LEDGER_API_KEY or --api-key-file gives it")
            elif isinstance(error, Unavailable):
                error.details.setdefault("note", "is `ledger serve` running there?")
            raise


def _api_key(file: str | None) -> str | None:
    """The key as the service itself would read it; a file that is named on the command line wins."""
    key = None if file else os.environ.get("LEDGER_API_KEY")
    file = file or os.environ.get("LEDGER_API_KEY_FILE")
    if key is None and file is not None:
        key = read_whole(file).decode(errors="replace")
    return key.strip() if key else None
