"""Sends what a call asks, by httpx: again where that is safe, until its time is over.

Once for code without an event loop, once for code with one; what the two share is in `Wire`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception_type
from tenacity.wait import wait_random_exponential

from ledger.client.address import Place
from ledger.client.exchange import EVENTS, Answer, Request, Steps, Waiting
from ledger.client.trouble import Passing, answer_of, translated
from ledger.errors import LedgerError, Overloaded
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


@dataclass(slots=True)
class Call:
    """A request under way, through all its tries."""

    request: Request
    ends_s: float
    reached: bool = False  # a try came as far as the other side
    in_doubt: bool = False  # what it asked for may be done
    told: LedgerError | None = None  # what the other side said last, if it said why not

    def came_to(self, passing: Passing) -> None:
        """A try failed in a way that may pass."""
        self.reached |= passing.reached
        self.in_doubt |= passing.reached and not isinstance(passing.error, Overloaded)

    @property
    def left_s(self) -> float:
        return max(self.ends_s - time.monotonic(), 0.001)

    @property
    def whole(self) -> bool:
        """Whether it can be sent again: what comes in pieces is gone then."""
        return self.request.body is None or isinstance(self.request.body, bytes)


class Wire:
    """Where requests go, and for how long they are tried."""

    def __init__(self, place: Place, timeout_s: float, connect_s: float) -> None:
        self.place = place
        self.timeout_s = timeout_s
        self.connect_s = connect_s
        self.headers = {"user-agent": "ledger-client"}
        if place.api_key is not None:
            self.headers["authorization"] = f"Bearer {place.api_key}"
        self.retrying: dict[str, Any] = {
            "retry": retry_if_exception_type(Passing),
            "stop": self._stops,
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

    def call(self, request: Request) -> Call:
        return Call(request, time.monotonic() + self.timeout_s)

    def sent(self, call: Call) -> dict[str, Any]:
        """Arguments that httpx makes a request of."""
        request, left_s = call.request, call.left_s
        headers = {"accept": request.accept}
        if request.body is not None:
            headers["content-type"] = request.type
        silence_s = SILENCE_S if request.accept == EVENTS else None if request.takes_long else left_s
        return {
            "method": request.method,
            "url": self.place.url(request.path),
            "content": request.body,
            "headers": headers,
            "timeout": httpx.Timeout(silence_s, connect=min(left_s, CONNECT_S)),
        }

    @contextlib.contextmanager
    def translated(self, call: Call) -> Iterator[None]:
        try:
            with translated(self.place.root):
                yield
        except Passing as passing:
            call.came_to(passing)
            raise

    def answer(self, call: Call, response: httpx.Response, body: bytes) -> Answer:
        call.reached = True
        try:
            return answer_of(self.place.root, response.status_code, response.headers, body)
        except Passing as passing:
            call.told = passing.error
            call.came_to(passing)
            raise

    def given_up(self, call: Call, passing: Passing) -> LedgerError:
        """What to tell of trouble that did not pass; of a write, how to learn what became of it."""
        error, key = call.told or passing.error, call.request.key
        if key is None or not call.in_doubt:
            return error
        message = f"{error.message}; it may be recorded: the same again under the key {key!r} tells"
        return type(error)(message, **{**error.details, "idempotency_key": key})

    def _stops(self, state: RetryCallState) -> bool:
        (call,) = state.args
        limit_s = self.timeout_s if call.reached else min(self.connect_s, self.timeout_s)
        return (state.seconds_since_start or 0.0) + state.upcoming_sleep >= limit_s


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
                    came = self._taken(step)
                except Exception as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(came)
        except StopIteration as end:
            result: T = end.value
            return result

    def _taken(self, step: Request | Waiting) -> Any:
        if isinstance(step, Waiting):
            return step.function()
        return self._tried(self.wire.call(step), self._answered)

    def lines(self, request: Request, *, may_end: bool = False) -> Iterator[bytes]:
        """The lines of a long answer. Raises Unavailable when it breaks off, unless it may end anywhere."""
        call, splitter = self.wire.call(request), Splitter()
        response = self._tried(call, self._begun)
        try:
            with self.wire.translated(call):
                for piece in response.iter_bytes():
                    yield from splitter.feed(piece)
        except Passing as passing:
            if not may_end:
                raise passing.error from passing
        finally:
            response.close()

    def _tried(self, call: Call, attempt: Callable[[Call], T]) -> T:
        try:
            return Retrying(**self.wire.retrying)(attempt, call) if call.whole else attempt(call)
        except Passing as passing:
            raise self.wire.given_up(call, passing) from passing

    def _answered(self, call: Call) -> Answer:
        with self.wire.translated(call), self._http.stream(**self.wire.sent(call)) as response:
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if time.monotonic() > call.ends_s and not call.request.takes_long:
                    raise TimeoutError  # httpx limits each piece, not the whole
        return self.wire.answer(call, response, bytes(body))

    def _begun(self, call: Call) -> httpx.Response:
        with self.wire.translated(call):
            response = self._http.send(self._http.build_request(**self.wire.sent(call)), stream=True)
            if response.is_success:
                return response
            try:
                self.wire.answer(call, response, response.read())
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
        return await self._tried(self.wire.call(step), self._answered)

    async def lines(self, request: Request, *, may_end: bool = False) -> AsyncGenerator[bytes]:
        """As `Engine.lines`."""
        call, splitter = self.wire.call(request), Splitter()
        response = await self._tried(call, self._begun)
        try:
            with self.wire.translated(call):
                async for piece in response.aiter_bytes():
                    for line in splitter.feed(piece):
                        yield line
        except Passing as passing:
            if not may_end:
                raise passing.error from passing
        finally:
            await response.aclose()

    async def _tried(self, call: Call, attempt: Callable[[Call], Awaitable[T]]) -> T:
        try:
            return await (AsyncRetrying(**self.wire.retrying)(attempt, call) if call.whole else attempt(call))
        except Passing as passing:
            raise self.wire.given_up(call, passing) from passing

    async def _answered(self, call: Call) -> Answer:
        with self.wire.translated(call):
            limit = asyncio.timeout(None if call.request.takes_long else call.left_s)
            async with limit, self._http.stream(**self._sent(call)) as response:
                body = await response.aread()
        return self.wire.answer(call, response, body)

    async def _begun(self, call: Call) -> httpx.Response:
        with self.wire.translated(call):
            async with asyncio.timeout(call.left_s):
                response = await self._http.send(self._http.build_request(**self._sent(call)), stream=True)
                if response.is_success:
                    return response
                try:
                    self.wire.answer(call, response, await response.aread())
                finally:
                    await response.aclose()
        raise AssertionError("an error that is none")

    def _sent(self, call: Call) -> dict[str, Any]:
        sent = self.wire.sent(call)
        if not call.whole:
            sent["content"] = _beside(sent["content"])
        return sent


async def _beside(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Pieces that may have to be waited for, without holding up the event loop."""
    source = iter(pieces)
    while (piece := await asyncio.to_thread(next, source, None)) is not None:
        yield piece
