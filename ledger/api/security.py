"""Who may ask, and how much they may send: checked before anything of a request is read.

No web page can drive the service: its Origin is told, or at least that it is not ours; its Host is not ours when its
name was made to point here (DNS rebinding), and a JSON content type makes the browser ask first. Who is not on this
machine needs the key.
"""

from __future__ import annotations

import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ledger.errors import (
    HostNotAllowed,
    Malformed,
    OriginNotAllowed,
    TooLarge,
    Unauthorized,
    UnsupportedMediaType,
)
from ledger.settings import ANY_HOST, Settings

OPEN_PATHS = frozenset(("/healthz", "/readyz"))
"""What a load balancer asks, which knows neither our name nor the key. They say nothing of any ledger's contents."""

PAGE, PAGE_FILES = "/graphql", "/graphql/ide/"

LONG_ROUTES = ("/audit", "/restore")
"""How routes of a ledger end that may take minutes until they answer."""

STREAMED_ROUTE = "/restore"
"""How the route ends whose body is taken as it comes."""

OWN_SITES = frozenset((b"same-origin", b"none"))
"""Whose requests a browser makes for our own page, or for a person who typed the address."""

JSON_TYPES = frozenset((b"application/json", b"application/x-ndjson"))


class Security:
    """ASGI middleware that admits a request or raises a ServiceError (or TooLarge)."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.body_bytes_max = settings.body_bytes_max
        self._hosts = None if ANY_HOST in settings.hosts else {name.encode() for name in settings.hosts}
        self._origins = {origin.encode() for origin in settings.allowed_origins}
        self._key = None if settings.api_key is None else settings.api_key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"] in OPEN_PATHS:
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").lower()
        self._check_host(host)
        if b"origin" in headers:
            self._check_origin(headers[b"origin"].lower(), host)
        elif not _is_page(scope):  # which may be linked to from anywhere
            _check_site(headers.get(b"sec-fetch-site", b"none"))
        if self._key is not None and not _is_page(scope):
            self._check_key(headers.get(b"authorization", b""))
        if scope["type"] == "http" and scope["method"] == "POST":
            _check_type(headers.get(b"content-type", b""))
        if not scope["path"].endswith(STREAMED_ROUTE):
            receive = self._limited(headers, receive)
        return await self.app(scope, receive, send)

    def _check_host(self, host: bytes) -> None:
        if self._hosts is None or _name_of(host) in self._hosts:
            return
        name = host.decode("latin-1")[:200]
        raise HostNotAllowed(
            f"this service does not answer for the host {name!r}; LEDGER_ALLOWED_HOSTS names more", host=name
        )

    def _check_origin(self, origin: bytes, host: bytes) -> None:
        # The scheme may differ, where something in front of us speaks TLS.
        if (host and origin.partition(b"://")[2] == host) or origin in self._origins:
            return
        name = origin.decode("latin-1")[:200]
        raise OriginNotAllowed(
            f"pages of {name!r} may not call this service; LEDGER_ALLOWED_ORIGINS names those that may", origin=name
        )

    def _check_key(self, authorization: bytes) -> None:
        scheme, _, key = authorization.partition(b" ")
        # compare_digest takes the same time however much of the key is right.
        if not secrets.compare_digest(key.strip(), self._key or b"") or scheme.lower() != b"bearer":
            raise Unauthorized("this service needs its API key: `Authorization: Bearer …`")

    def _limited(self, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        """The body, refused when it is told or found to be over the limit."""
        if b"transfer-encoding" in headers:
            return _Counted(receive, self.body_bytes_max)
        told = headers.get(b"content-length", b"0")
        if not told.isdigit():
            raise Malformed("Content-Length is no number", field="content-length")
        if int(told) > self.body_bytes_max:
            raise _too_large(self.body_bytes_max)
        return receive  # the HTTP parser sees to it that no more comes than was told


def _check_site(site: bytes) -> None:
    """What browsers tell instead of an Origin, as of an image or a link: their page is shown nothing, but works us."""
    if site not in OWN_SITES:
        raise OriginNotAllowed(
            "pages of other origins may not call this service without telling theirs, nor link to it; "
            "LEDGER_ALLOWED_ORIGINS names those that may call it"
        )


def _is_page(scope: Scope) -> bool:
    """The page to try GraphQL on, and its files: who loads it types the key into it. A query in the address is none."""
    path: str = scope["path"]
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    return path.startswith(PAGE_FILES) or (path == PAGE and not scope["query_string"])


class _Counted:
    """A body of unknown length, counted as it comes."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self.receive = receive
        self.bytes_max = bytes_max
        self.seen = 0

    async def __call__(self) -> Message:
        message = await self.receive()
        self.seen += len(message.get("body", b""))
        if self.seen > self.bytes_max:
            raise _too_large(self.bytes_max)
        return message


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the body is over {bytes_max:,} bytes, the limit here (LEDGER_BODY_BYTES_MAX)", limit=bytes_max)


def _check_type(content_type: bytes) -> None:
    name = content_type.partition(b";")[0].strip().lower()
    if name not in JSON_TYPES:
        expected = " or ".join(sorted(known.decode() for known in JSON_TYPES))
        raise UnsupportedMediaType(f"the Content-Type is {expected}, not {name.decode('latin-1')[:100] or 'missing'!r}")


def _name_of(host: bytes) -> bytes:
    """A Host header without its port: `[::1]:8321` is `::1`."""
    return host[1:].partition(b"]")[0] if host[:1] == b"[" else host.partition(b":")[0]
