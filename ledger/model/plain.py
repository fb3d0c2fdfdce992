"""The commonest command the short way: a record as programs write it, without times, read in one go.

The long way reads values, writes them again to see whether a key stood twice, holds them to a type, and looks for what
has no canonical form. Here the type says what has one: no floats, no integer beyond 2^53-1, nothing deep. And a text
that is no longer than the shortest that says the same holds no key twice, no space, and no field that might have been
left out. Whatever else it is goes the long way; a test holds the two against each other.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
import orjson
from msgspec import UNSET, Meta, UnsetType

from ledger.model.canonical import CONTENT_BYTES_MAX, SAFE_INTEGER, digest_of_bytes
from ledger.model.command import RecordCommand

Scalar = str | Annotated[int, Meta(ge=-SAFE_INTEGER, le=SAFE_INTEGER)] | bool | None
Flat = Scalar | list[Scalar] | dict[str, Scalar]
Nested = Scalar | list[Flat] | dict[str, Flat]
Deeper = Scalar | list[Nested] | dict[str, Nested]
Content = Scalar | list[Deeper] | dict[str, Deeper]


class _Plain(RecordCommand, frozen=True, omit_defaults=True, tag="record"):
    content: Content | UnsetType = UNSET


class _Other(msgspec.Struct, tag_field="op", tag=""):
    """Beside the first it makes the decoder ask for `op`; of a type alone it takes what has none."""


_DECODER: msgspec.json.Decoder[_Plain | _Other] = msgspec.json.Decoder(_Plain | _Other)
_ENCODER = msgspec.json.Encoder(order="sorted")
_DIGEST_CHARS = len('"sha256:"') + 64
_KEY_CHARS = len(',"idempotency_key":')


def plain_record(text: bytes) -> RecordCommand | None:
    """The command of a line, if it is a plain record; None if that is to be found out the long way.

    Raises Malformed, as the long way does, when a field of one is wrong.
    """
    try:
        command = _DECODER.decode(text)
        if isinstance(command, _Other):
            return None
        content, idempotency_key = command.content, command.idempotency_key
        form = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except (ValueError, TypeError):  # of msgspec, of UTF-8, and of orjson
        return None
    # Keys beyond ASCII are in another order in UTF-16.
    if content is UNSET or command.amends is not None or not form.isascii() or len(form) > CONTENT_BYTES_MAX:
        return None
    digest = digest_of_bytes(form)
    msgspec.structs.force_setattr(command, "content", digest)
    msgspec.structs.force_setattr(command, "idempotency_key", None)
    sent = _ENCODER.encode(command)
    msgspec.structs.force_setattr(command, "content", content)
    msgspec.structs.force_setattr(command, "idempotency_key", idempotency_key)
    chars = len(sent) - _DIGEST_CHARS + len(form)
    if idempotency_key is not None:
        chars += _KEY_CHARS + len(msgspec.json.encode(idempotency_key))
    if len(text) != chars or command.occurred_at is not None or command.valid_until is not UNSET:
        return None
    command.check()
    msgspec.structs.force_setattr(command, "content_digest", digest)
    command.__dict__["content_form"] = form.decode()
    command.__dict__["sent_digest"] = digest_of_bytes(sent)
    return command
