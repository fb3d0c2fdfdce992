"""Reading the body of a request, and sending an answer, as plain ASGI."""

from __future__ import annotations

from starlette.types import Receive, Send

JSON = (b"content-type", b"application/json")
JSON_LINES = (b"content-type", b"application/x-ndjson")
NOT_KEPT = (b"cache-control", b"no-store")

Header = tuple[bytes, bytes]


class ClientGone(Exception):
    """The client went away before its request was whole; nobody waits for an answer."""


async def read(receive: Receive) -> bytes:
    """The whole body. Raises ClientGone, and TooLarge where `receive` counts."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def answer(send: Send, body: bytes, *headers: Header, status: int = 200) -> None:
    """A whole answer at once."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})
