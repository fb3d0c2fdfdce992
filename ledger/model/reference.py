"""Names: keys, ledgers, actors, and references to what is recorded.

pep/440                     a key: its current version
pep/440@3                   its third version
pep/440@sha256:9f2c11aa…    the newest version with this content digest (8 to 64 hex digits)
@42                         entry 42; of an event: what it acts on
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec

from ledger.errors import Malformed

KEY_BYTES_MAX = 512

_SELECTOR = re.compile(r"(.*)@(?:([0-9]+)|sha256:([0-9a-f]+))", re.ASCII | re.DOTALL)
_PLAIN = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?", re.ASCII)
_PLAIN_KEY = re.compile(r"[!-?A-~](?:[ -?A-~]{0,510}[!-?A-~])?", re.ASCII)
_ENTRY = re.compile(r"@[0-9]{1,15}", re.ASCII)
_LEDGER = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Reference(msgspec.Struct, frozen=True):
    """A parsed reference: a `seq`, or a `key` with at most one of `version` and `digest` (hex, 8 to 64 digits)."""

    text: str
    key: str | None = None
    version: int | None = None
    digest: str | None = None
    seq: int | None = None


is_plain_name = _PLAIN.fullmatch
"""Whether a text is a name like most: the quick half of `check_name`."""

is_plain_key = _PLAIN_KEY.fullmatch
"""Whether a text is a key like most: the quick half of `check_key`."""

names_entry = _ENTRY.fullmatch
"""Whether a reference names an entry, like @42: then there is nothing else to check."""


def entry_number(ref: str) -> int | None:
    """42 of `@42`; None for other references."""
    return int(ref[1:]) if names_entry(ref) else None


@lru_cache(maxsize=8192)  # a reference is parsed when its form is checked, and again when it is resolved
def parse_reference(text: str) -> Reference:
    """Raises Malformed, saying what is wrong and what was expected."""
    match = _SELECTOR.fullmatch(text)
    if match is None:
        return Reference(text, key=check_key(text))
    key, number, digest = match.groups()
    if number is not None and len(number) > 15:
        raise Malformed(f"{text!r}: no entry or version has a number that large")
    if not key and number is not None:
        return Reference(text, seq=int(number))
    check_key(key)
    if number is not None:
        return Reference(text, key=key, version=int(number))
    if not 8 <= len(digest) <= 64:
        raise Malformed(f"{text!r}: a digest selector has 8 to 64 hex digits, this one has {len(digest)}")
    return Reference(text, key=key, digest=digest)


def check_reference(ref: Any, field: str = "ref") -> str:
    """The reference itself, if it is a text. Raises Malformed."""
    if not isinstance(ref, str):
        raise Malformed(f"a reference is a text, not {type(ref).__name__}", field=field)
    return ref


def references_in(refs: Any) -> list[Any]:
    """What is to be checked, as a list. Raises Malformed for what is none; what is no text in it gets its verdict."""
    if isinstance(refs, str):
        raise Malformed("refs is a list of references, not one string", field="refs")
    if not isinstance(refs, Iterable):
        raise Malformed(f"refs is a list of references, not {type(refs).__name__}", field="refs")
    return list(refs)


def check_key(key: str) -> str:
    """The key itself, if it may be one. Raises Malformed."""
    check_name(key, "key")
    if key.startswith("@"):
        raise Malformed(f"{key!r}: a key does not start with '@' (that is how entries are named, like @42)")
    if "@" in key and _SELECTOR.fullmatch(key):
        raise Malformed(f"{key!r}: a key does not end in a selector (@ and digits, or @sha256: and hex digits)")
    return key


def check_name(name: str, what: str) -> str:
    """The text itself, if it is printable NFC of 1 to 512 bytes without outer spaces. Raises Malformed.

    Keys, actors and idempotency keys are held to this, so that two names that look alike are alike.
    """
    if is_plain_name(name):
        return name
    if not name:
        raise Malformed(f"the {what} is empty")
    if not name.isprintable():
        bad = next(character for character in name if not character.isprintable())
        raise Malformed(f"the {what} {name[:60]!r} holds the unprintable character U+{ord(bad):04X}")
    if name[0] == " " or name[-1] == " ":
        raise Malformed(f"the {what} {name[:60]!r} starts or ends with a space")
    if not name.isascii() and unicodedata.normalize("NFC", name) != name:
        raise Malformed(f"the {what} {name[:60]!r} is not in Unicode normal form NFC")
    if len(name.encode()) > KEY_BYTES_MAX:
        raise Malformed(f"the {what} {name[:40]!r}… is longer than {KEY_BYTES_MAX} bytes")
    return name


def check_ledger(name: str) -> str:
    """The ledger's name itself, if it may be one. Raises Malformed."""
    if not isinstance(name, str) or not _LEDGER.fullmatch(name):
        raise Malformed(
            f"{name!r} is no ledger name: lower-case letters, digits and . _ -, "
            "at most 63, starting with a letter or digit",
            field="ledger",
        )
    return name


def check_tag(name: str, field: str = "name") -> str:
    """The tag's name itself, if it may be one: those of ledgers may. Raises Malformed."""
    if not isinstance(name, str) or not _LEDGER.fullmatch(name):
        raise Malformed(
            f"{str(name)[:80]!r} is no name of a tag: lower-case letters, digits and . _ -, "
            "at most 63, starting with a letter or digit",
            field=field,
        )
    return name


def check_digest(digest: str) -> str:
    """The digest itself, if it is `sha256:` and 64 lower-case hex digits. Raises Malformed."""
    if not _DIGEST.fullmatch(digest):
        raise Malformed(f"{digest[:80]!r} is no digest: sha256: and 64 lower-case hex digits")
    return digest
