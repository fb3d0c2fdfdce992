"""Sends what a call asks, by httpx: again where that is safe, until its time is over.

Once for code without an event loop, once for code with one; what the two share is in `Wire`.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type, stop_before_delay
from tenacity.wait import wait_random_exponential

from ledger.client.address import Place
from ledger.client.exchange import EVENTS, Answer, Request, Steps, Waiting
from ledger.client.trouble import Passing, answer_of, translated
from ledger.errors import LedgerError
from ledger.model.lines import Splitter

T = TypeVar("T")

CONNECT_S = 5.0
"""A machine that is there answers in milliseconds."""

KEEPALIVE_S = 15
"""What takes long has no time limit; so the system asks now and then whether the other side is still there."""

REUSED_S = 60.0
"""How long a connection that nobody uses is kept; the service keeps it a little longer."""

SILENCE_S = 50.0
"""A stream of events that says nothing for so long is dead: the service sends a sign of life each 15 s."""

_JITTER = wait_random_exponential(multiplier=0.05, max=2.0)


class Wire:
    """Where requests go, and for how long."""

    def __init__(self, place: Place, timeout_s: float) -> None:
        self.place = place
        self.timeout_s = timeout_s
        self.headers = {"user-agent": "ledger-client"}
        if place.api_key is not None:
            self.headers["authorization"] = f"Bearer {place.api_key}"
        self.retrying: dict[str, Any] = {
            "retry": retry_if_exception_type(Passing),
            "stop": stop_before_delay(timeout_s),
            "wait": _pause_s,
            "reraise": True,
        }

    def client(self) -> dict[str, Any]:
        """Arguments of an httpx client."""
        return {"headers": self.headers, "trust_env": not self.place.on_this_machine}

    def transport(self) -> dict[str, Any]:
        """Arguments of its transport. Without TLS no certificates are read: that takes longer than many checks."""
        return {
            "verify": self.place.address.lower().startswith("https"),
            "socket_options": _keepalive(),
            "limits": httpx.Limits(keepalive_expiry=REUSED_S),
        }

    def sent(self, request: Request, ends_s: float) -> dict[str, Any]:
        """Arguments that httpx makes a request of."""
        headers = {"accept": request.accept}
        if request.body is not None:
            headers["content-type"] = request.type
        left_s = max(ends_s - time.monotonic(), 0.001)
        silence_s = SILENCE_S if request.accept == EVENTS else None if request.takes_long else left_s
        return {
            "method": request.method,
            "url": self.place.url(request.path),
            "content": request.body,
            "headers": headers,
            "timeout": httpx.Timeout(silence_s, connect=min(left_s, CONNECT_S)),
        }

    def translated(self) -> Any:
        return translated(self.place.root)

    def answer(self, response: httpx.Response, body: bytes) -> Answer:
        return answer_of(self.place.root, response.status_code, response.headers, body)

    def tries(self, request: Request) -> bool:
        """Whether a request can be sent again: what came in pieces is gone."""
        return request.body is None or isinstance(request.body, bytes)

    def given_up(self, request: Request, passing: Passing) -> LedgerError:
        """What to tell of trouble that did not pass; of a write, how to learn what became of it."""
        error = passing.error
        if request.key is None:
            return error
        message = f"{error.message}; it may be recorded: the same again under the key {request.key!r} tells"
        return type(error)(message, **{**error.details, "idempotency_key": request.key})


def _pause_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return max(_JITTER(state), error.after_s if isinstance(error, Passing) else 0.0)


def _keepalive() -> list[tuple[int, int, int]]:
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    for name, value in (("TCP_KEEPIDLE", KEEPALIVE_S), ("TCP_KEEPINTVL", KEEPALIVE_S), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):  # not every system names them
            options.append((socket.IPPROTO_TCP, getattr(socket, name), value))
    return options


class Engine:
    """For code without an event loop. May be used from several threads."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._http = httpx.Client(transport=httpx.HTTPTransport(**wire.transport()), **wire.client())

    def close(self) -> None:
        self._http.close()

    def run(self, steps: Steps[T]) -> T:
        """Take a call's steps to its result. Raises LedgerError."""
        try:
            step = next(steps)
            while True:
                try:
                    came = step.function() if isinstance(step, Waiting) else self._tried(step, self._answered)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            result: T = end.value
            return result

    def lines(self, request: Request, *, may_end: bool = False) -> Iterator[bytes]:
        """The lines of a long answer. Raises Unavailable when it breaks off, unless it may end anywhere."""
        splitter, response = Splitter(), self._tried(request, self._begun)
        try:
            with self.wire.translated():
                for piece in response.iter_bytes():
                    yield from splitter.feed(piece)
        except Passing as passing:
            if not may_end:
                raise passing.error from passing
        finally:
            response.close()

    def _tried(self, request: Request, attempt: Callable[[Request, float], T]) -> T:
        ends_s = time.monotonic() + self.wire.timeout_s
        try:
            if self.wire.tries(request):
                return Retrying(**self.wire.retrying)(attempt, request, ends_s)
            return attempt(request, ends_s)
        except Passing as passing:
            raise self.wire.given_up(request, passing) from passing

    def _answered(self, request: Request, ends_s: float) -> Answer:
        with self.wire.translated(), self._http.stream(**self.wire.sent(request, ends_s)) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > ends_s and not request.takes_long:
                    raise TimeoutError  # httpx limits each piece, not the whole
        return self.wire.answer(response, bytes(body))

    def _begun(self, request: Request, ends_s: float) -> httpx.Response:
        with self.wire.translated():
            response = self._http.send(self._http.build_request(**self.wire.sent(request, ends_s)), stream=True)
            if response.is_success:
                return response
            try:
                self.wire.answer(response, response.read())
            finally:
                response.close()
        raise AssertionError("an error that is none")


class AsyncEngine:
    """For code in an event loop."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self._http = httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(**wire.transport()), **wire.client())

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, steps: Steps[T]) -> T:
        """As `Engine.run`."""
        try:
            step = next(steps)
            while True:
                try:
                    came = await self._taken(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _taken(self, step: Request | Waiting) -> Any:
        if isinstance(step, Waiting):
            return await asyncio.to_thread(step.function)
        return await self._tried(step, self._answered)

    async def lines(self, request: Request, *, may_end: bool = False) -> AsyncGenerator[bytes]:
        """As `Engine.lines`."""
        splitter, response = Splitter(), await self._tried(request, self._begun)
        try:
            with self.wire.translated():
                async for piece in response.aiter_bytes():
                    for line in splitter.feed(piece):
                        yield line
        except Passing as passing:
            if not may_end:
                raise passing.error from passing
        finally:
            await response.aclose()

    async def _tried(self, request: Request, attempt: Callable[[Request, float], Awaitable[T]]) -> T:
        ends_s = time.monotonic() + self.wire.timeout_s
        try:
            if self.wire.tries(request):
                return await AsyncRetrying(**self.wire.retrying)(attempt, request, ends_s)
            return await attempt(request, ends_s)
        except Passing as passing:
            raise self.wire.given_up(request, passing) from passing

    async def _answered(self, request: Request, ends_s: float) -> Answer:
        with self.wire.translated():
            limit = _until(None if request.takes_long else ends_s)
            async with limit, self._http.stream(**self._sent(request, ends_s)) as response:
                body = await response.aread()
        return self.wire.answer(response, body)

    async def _begun(self, request: Request, ends_s: float) -> httpx.Response:
        with self.wire.translated():
            async with _until(ends_s):
                built = self._http.build_request(**self._sent(request, ends_s))
                response = await self._http.send(built, stream=True)
                if response.is_success:
                    return response
                try:
                    self.wire.answer(response, await response.aread())
                finally:
                    await response.aclose()
        raise AssertionError("an error that is none")

    def _sent(self, request: Request, ends_s: float) -> dict[str, Any]:
        sent = self.wire.sent(request, ends_s)
        if not self.wire.tries(request):
            sent["content"] = _beside(sent["content"])
        return sent


def _until(ends_s: float | None) -> asyncio.Timeout:
    return asyncio.timeout(None if ends_s is None else max(ends_s - time.monotonic(), 0))


async def _beside(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Pieces that may have to be waited for, without holding up the event loop."""
    source = iter(pieces)
    while (piece := await asyncio.to_thread(next, source, None)) is not None:
        yield piece
