"""The two clients: the methods of `Asking`, waited for and awaited.

with LedgerClient("http://127.0.0.1:8321") as ledger:                  async with AsyncLedgerClient(…) as ledger:
    ledger.record("dependency", {"limit": 500}, key="refund-limit")        await ledger.record(…)
    ledger.check(["refund-limit"]).fresh                                   (await ledger.check([…])).fresh
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from ledger.client.address import Place
from ledger.client.asking import Asking
from ledger.client.engine import AsyncEngine, Engine, Wire
from ledger.client.exchange import Steps
from ledger.client.watching import Following
from ledger.model.change import Change

P = ParamSpec("P")
T = TypeVar("T")

ADDRESS = "http://127.0.0.1:8321"
TIMEOUT_S = 30.0


class _Client:
    """What a client is made of."""

    def __init__(
        self,
        address: str = ADDRESS,
        ledger: str = "main",
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        connect_s: float = math.inf,
        read_own_writes: bool = True,
    ) -> None:
        """Nothing is asked yet. Raises BadAddress, Malformed.

        `timeout_s` is how long a request may take, all its tries included (audit, restore and changes take what they
        take), `connect_s` how long it is tried while nobody is there to take it. With `read_own_writes` a read names
        the last revision written here, so that it is not older, whichever process of the service answers; a read's own
        `at_least` wins over it.
        """
        self._asking = Asking(ledger, read_own_writes=read_own_writes)
        self._start(Wire(Place(address, ledger, api_key), timeout_s, connect_s))

    def _start(self, wire: Wire) -> None:
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self._asking.name

    @property
    def revision(self) -> str:
        """The last entry this client has heard of, such as `main@1042.9f3c1a2b`; `main@0.00000000` before it asked."""
        return self._asking.revision


def _waited(method: Callable[Concatenate[Asking, P], Steps[T]]) -> Callable[Concatenate[LedgerClient, P], T]:
    @functools.wraps(method)
    def call(self: LedgerClient, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._engine.run(method(self._asking, *args, **kwargs))

    return call  # type: ignore[return-value]  # functools.wraps types the first argument away


def _awaited(
    method: Callable[Concatenate[Asking, P], Steps[T]],
) -> Callable[Concatenate[AsyncLedgerClient, P], Coroutine[Any, Any, T]]:
    @functools.wraps(method)
    async def call(self: AsyncLedgerClient, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._engine.run(method(self._asking, *args, **kwargs))

    return call  # type: ignore[return-value]


class LedgerClient(_Client):
    """A ledger that a running service keeps, for code without an event loop: every method of `Ledger`, over HTTP.

    Answers and errors are of the same classes. A service that does not answer in time raises Unavailable; nothing is
    ever called fresh that was not asked for. Requests are repeated until then, writes too: each carries an idempotency
    key, so that none is recorded twice. Connections are kept open; may be used from several threads.
    """

    def _start(self, wire: Wire) -> None:
        self._engine = Engine(wire)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    record = _waited(Asking.record)
    revoke = _waited(Asking.revoke)
    reinstate = _waited(Asking.reinstate)
    verify = _waited(Asking.verify)
    apply = _waited(Asking.apply)
    import_lines = _waited(Asking.import_lines)
    restore = _waited(Asking.restore)
    check = _waited(Asking.check)
    why = _waited(Asking.why)
    entry = _waited(Asking.entry)
    entries = _waited(Asking.entries)
    history = _waited(Asking.history)
    diff = _waited(Asking.diff)
    compare = _waited(Asking.compare)
    causes = _waited(Asking.causes)
    consequences = _waited(Asking.consequences)
    remediation = _waited(Asking.remediation)
    impact = _waited(Asking.impact)
    plan_withdrawal = _waited(Asking.plan_withdrawal)
    withdraw = _waited(Asking.withdraw)
    status = _waited(Asking.status)
    tag = _waited(Asking.tag)
    tags = _waited(Asking.tags)
    audit = _waited(Asking.audit)

    def export(self, *, entries: bool = False) -> Iterator[bytes]:
        """Lines of the ledger: commands that make it again, or (`entries`) the verbatim log for `restore`.

        Raises Unavailable when the connection breaks before the end.
        """
        return self._engine.lines(self._asking.export(entries=entries))

    def changes(self, after: str | None = None) -> Iterator[Change]:
        """What each batch does to the ledger, one change a batch, in order; it goes on until closed.

        Behind revision `after`, or behind the last one this client has heard of; from now on if it has heard of none. A
        connection that was lost is made again, and nothing is missed or told twice. SlowReader is raised when changes
        come faster than they are taken; it names the revision to resume after.
        """
        return self._changes(after or self._asking.known)

    def _changes(self, after: str | None) -> Iterator[Change]:
        if after is None:
            after = self._engine.run(self._asking.now())
        following = Following(self.name, after)
        while True:
            for line in self._engine.lines(following.request(), may_end=True):
                if (change := following.feed(line)) is not None:
                    self._asking.heard(change.revision)
                    yield change
            time.sleep(following.pause_s())


class AsyncLedgerClient(_Client):
    """The same for code in an event loop: every method of `AsyncLedger`, over HTTP."""

    def _start(self, wire: Wire) -> None:
        self._engine = AsyncEngine(wire)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    record = _awaited(Asking.record)
    revoke = _awaited(Asking.revoke)
    reinstate = _awaited(Asking.reinstate)
    verify = _awaited(Asking.verify)
    apply = _awaited(Asking.apply)
    import_lines = _awaited(Asking.import_lines)
    restore = _awaited(Asking.restore)
    check = _awaited(Asking.check)
    why = _awaited(Asking.why)
    entry = _awaited(Asking.entry)
    entries = _awaited(Asking.entries)
    history = _awaited(Asking.history)
    diff = _awaited(Asking.diff)
    compare = _awaited(Asking.compare)
    causes = _awaited(Asking.causes)
    consequences = _awaited(Asking.consequences)
    remediation = _awaited(Asking.remediation)
    impact = _awaited(Asking.impact)
    plan_withdrawal = _awaited(Asking.plan_withdrawal)
    withdraw = _awaited(Asking.withdraw)
    status = _awaited(Asking.status)
    tag = _awaited(Asking.tag)
    tags = _awaited(Asking.tags)
    audit = _awaited(Asking.audit)

    def export(self, *, entries: bool = False) -> AsyncIterator[bytes]:
        """As `LedgerClient.export`."""
        return self._engine.lines(self._asking.export(entries=entries))

    def changes(self, after: str | None = None) -> AsyncGenerator[Change]:
        """As `LedgerClient.changes`."""
        return self._changes(after or self._asking.known)

    async def _changes(self, after: str | None) -> AsyncGenerator[Change]:
        start: str = after if after else await self._engine.run(self._asking.now())
        following = Following(self.name, start)
        while True:
            async with contextlib.aclosing(self._engine.lines(following.request(), may_end=True)) as lines:
                async for line in lines:
                    if (change := following.feed(line)) is not None:
                        self._asking.heard(change.revision)
                        yield change
            await asyncio.sleep(following.pause_s())
