"""Both clients for tests that do not care which: the one with an event loop is waited for here."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ledger.client import AsyncLedgerClient, LedgerClient

KINDS = ("sync", "async")


class Waited:
    """An AsyncLedgerClient as if it were a LedgerClient."""

    def __init__(self, client: AsyncLedgerClient, runner: asyncio.Runner) -> None:
        self._client = client
        self._runner = runner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        return self._call(found) if callable(found) else found

    def _call(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            came = method(*args, **kwargs)
            return self._runner.run(came) if inspect.iscoroutine(came) else self._each(came)

        return call

    def _each(self, items: Any) -> Iterator[Any]:
        try:
            while (item := self._runner.run(_next(items))) is not _END:
                yield item
        finally:
            self._runner.run(items.aclose())


_END = object()


async def _next(items: AsyncIterator[Any]) -> Any:
    return await anext(items, _END)


@contextlib.contextmanager
def client_of(kind: str, address: str, ledger: str = "main", **given: Any) -> Iterator[Any]:
    """A client of the kind, closed at the end."""
    if kind == "sync":
        with LedgerClient(address, ledger, **given) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        client_of_loop = AsyncLedgerClient(address, ledger, **given)
        try:
            yield Waited(client_of_loop, runner)
        finally:
            runner.run(client_of_loop.close())
