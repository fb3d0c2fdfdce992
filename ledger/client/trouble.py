"""What goes wrong on the way, in our errors: what httpx raises, and what the service answers."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import httpx
import orjson

from ledger.client.exchange import Answer
from ledger.errors import LedgerError, ServiceError, Unauthorized, Unavailable, error_told

MAY_PASS = (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError)
NOT_REACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
BUSY = frozenset((502, 503, 504))
"""What a proxy before the service answers when asking again helps."""


class Passing(Exception):
    """Trouble that may pass by itself; `error` is what to tell if it does not."""

    def __init__(self, error: LedgerError, after_s: float = 0.0, *, reached: bool = True) -> None:
        super().__init__(error)
        self.error = error
        self.after_s = after_s  # what the other side asks to wait
        self.reached = reached  # whether the request may have come to the other side


@contextlib.contextmanager
def translated(address: str) -> Iterator[None]:
    """The one place where errors of httpx become ours."""
    try:
        yield
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
        raise _as_ours(address, error) from error
    except TimeoutError as error:  # the whole time of the call is over
        raise Passing(Unavailable(f"the service at {address} does not answer in time")) from error


def _as_ours(address: str, error: Exception) -> Exception:
    why = str(error) or type(error).__name__
    reached = not isinstance(error, NOT_REACHED)
    if isinstance(error, httpx.TimeoutException):
        return Passing(Unavailable(f"the service at {address} does not answer in time"), reached=reached)
    if not isinstance(error, MAY_PASS):
        return ServiceError(f"{address} cannot be asked: {why}")
    if _is_of_trust(error):
        return Unavailable(f"the service at {address} cannot be trusted: {why}")
    return Passing(Unavailable(f"the service at {address} does not answer: {why}"), reached=reached)


def _is_of_trust(error: BaseException | None) -> bool:
    """Whether a certificate was refused: asking again does not help."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def answer_of(address: str, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """What was answered. Raises LedgerError, or Passing with it."""
    if 200 <= status < 300:
        return Answer(status, headers.get("ledger-revision"), body)
    error, told = refusal(address, status, headers, body)
    if status in BUSY or (status >= 500 and told.get("retry") is True):
        raise Passing(error, _seconds(headers.get("retry-after", "")))
    raise error


def refusal(
    address: str, status: int, headers: Mapping[str, str], body: bytes
) -> tuple[LedgerError, Mapping[str, Any]]:
    """The error of an answer that is one, and as it was told; of what is no ledger's, in our words."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, dict) and isinstance(told.get("code"), str):
        return error_told(told), told
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else "?"
    said = f"{address} answers {status} {phrase}"
    if status in BUSY:
        return Unavailable(f"{said}: the service behind it does not answer"), {}
    if status == 401:
        return Unauthorized(f"{said}: it wants to know who asks"), {}
    if 300 <= status < 400:
        return ServiceError(f"{said} and sends on to {headers.get('location', 'nowhere')!r}; give that address"), {}
    return ServiceError(f"{said}, and not as a ledger's service would"), {}


def _seconds(text: str) -> float:
    """`Retry-After` in seconds; a date counts as nothing."""
    return min(float(text), 60.0) if text.isdecimal() else 0.0
