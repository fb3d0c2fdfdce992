"""Two ledgers beside each other, key by key: what each says of the current version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import msgspec

from ledger.validity.verdicts import Reader


class Standing(msgspec.Struct, frozen=True, gc=False):
    """The current version of a key, what it says, and what is said of it.

    There is one for each key: the garbage collector need not look at them all again and again.
    """

    seq: int
    version: int
    digest: bytes
    state: str
    reason: str | None

    @property
    def verdict(self) -> tuple[str, str | None]:
        return self.state, self.reason


class Comparison(NamedTuple):
    """Keys by what is different of them, sorted; one may be in the last two at once."""

    only_here: list[str]
    only_there: list[str]
    content: list[str]
    verdict: list[str]
    same: int


def standings(reader: Reader, keys: Iterable[int]) -> Iterator[tuple[str, Standing]]:
    """The keys of these rows by name."""
    index = reader.index
    for key in keys:
        seq = index.current_version(key)
        yield index.key_names[key], Standing(seq, index.version[seq], index.digest_at(seq), *reader.state(seq))


def compared(here: dict[str, Standing], there: dict[str, Standing]) -> Comparison:
    """What is different of all keys."""
    common = sorted(here.keys() & there.keys())
    content = [key for key in common if here[key].digest != there[key].digest]
    verdict = [key for key in common if here[key].verdict != there[key].verdict]
    return Comparison(
        sorted(here.keys() - there.keys()),
        sorted(there.keys() - here.keys()),
        content,
        verdict,
        same=len(common) - len({*content, *verdict}),
    )
