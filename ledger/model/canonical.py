"""JSON as this ledger takes it, and its one canonical form (RFC 8785, JSON Canonicalization Scheme)."""

from __future__ import annotations

import hashlib
import json
import math
import re
from typing import Any, NoReturn

import orjson
import rfc8785

from ledger.errors import Malformed, TooLarge

DEPTH_MAX = 64
CONTENT_BYTES_MAX = 1 << 20
SAFE_INTEGER = 2**53 - 1
"""Integers beyond this are not the same number in every JSON reader (RFC 7493, I-JSON)."""

_HALF = re.compile("[\ud800-\udfff]")

# A command is at most content inside a command inside a batch.
_COMMAND_DEPTH_MAX = DEPTH_MAX + 4


def parse_json(text: str | bytes) -> Any:
    """One JSON value. Raises Malformed for bad JSON or UTF-8, duplicate keys, NaN and the like."""
    # Text that comes back byte for byte held no duplicate key, no odd number and no odd space: what programs write
    # mostly does, and reading and writing it in C (3 µs a command) is quicker than reading it with care (11 µs).
    try:
        quick = orjson.loads(text)
        if orjson.dumps(quick) == (text if isinstance(text, bytes) else text.encode()):
            return quick
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        pass
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        return _DECODER.decode(decoded)
    except UnicodeDecodeError as error:
        raise Malformed(f"not UTF-8: byte {error.start} is {text[error.start]:#04x}") from error
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise TooLarge(f"nested deeper than {DEPTH_MAX} levels") from error
    except ValueError as error:
        raise Malformed("a number has thousands of digits; write it as a string") from error


def well_formed(text: str) -> str:
    """The text, with U+FFFD for each half of a UTF-16 pair: JSON can say one, UTF-8 cannot."""
    return _HALF.sub("\ufffd", text)


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a command or of content.

    Raises Malformed for what JSON cannot hold (with the place), TooLarge when nested too deep.
    """
    # orjson with sorted keys takes 3 µs where a pure-Python RFC 8785 takes 29. The two agree when no number is a float
    # and no key leaves ASCII (UTF-8 and UTF-16 order differ beyond the BMP); everything else goes the long way.
    if _survey(value, 0):
        return canonical_plain(value)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise Malformed(f"not text that UTF-8 can hold: {error}") from error


def canonical_content(value: Any, bytes_max: int = CONTENT_BYTES_MAX) -> bytes:
    """The same for content, held to its limits. Raises TooLarge, Malformed."""
    form = canonical(value)
    if len(form) > bytes_max:
        raise TooLarge(f"content is {len(form):,} bytes, the limit is {bytes_max:,}", field="content")
    # Depth can only reach the limit in a form with that many brackets; most contents never come near.
    if form.count(b"[") + form.count(b"{") > DEPTH_MAX and _depth(value) > DEPTH_MAX:
        raise TooLarge(f"content is nested deeper than {DEPTH_MAX} levels", field="content")
    return form


def canonical_plain(value: Any) -> bytes:
    """The RFC 8785 form of a value known to hold no floats and no keys beyond ASCII. Raises Malformed."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as error:
        raise Malformed(f"not text that UTF-8 can hold: {error}") from error


def digest_of(value: Any) -> str:
    """`sha256:` and the hex of the canonical form: what names a content. Raises as `canonical` does."""
    return digest_of_bytes(canonical(value))


def digest_of_bytes(form: bytes) -> str:
    """The digest of a form that is canonical already."""
    return "sha256:" + hashlib.sha256(form).hexdigest()


def _survey(value: Any, depth: int) -> bool:
    """Refuse what JSON cannot hold; say whether the fast serialiser writes this value canonically."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        if not -SAFE_INTEGER <= value <= SAFE_INTEGER:
            raise Malformed(f"{value} is beyond 2^53-1; write it as a string")
        return True
    if kind is dict:
        _check_depth(depth)
        plain = True
        for key, item in value.items():
            if type(key) is not str:
                raise Malformed(f"object keys are strings, not {type(key).__name__} ({key!r})")
            plain = _survey(item, depth + 1) and key.isascii() and plain
        return plain
    if kind is list or kind is tuple:
        _check_depth(depth)
        plain = True
        for item in value:
            plain = _survey(item, depth + 1) and plain
        return plain
    if kind is float:
        if not math.isfinite(value):
            raise Malformed(f"{value} is not a JSON number")
        if value.is_integer() and abs(value) > SAFE_INTEGER:
            raise Malformed(f"{value!r} is an integer beyond 2^53-1; write it as a string")
        return False
    raise Malformed(f"{kind.__name__} is not a JSON value")


def _check_depth(depth: int) -> None:
    if depth >= _COMMAND_DEPTH_MAX:
        raise TooLarge(f"nested deeper than {DEPTH_MAX} levels")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise Malformed(f"the key {twice!r} stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Malformed(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
