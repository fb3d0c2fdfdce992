"""Bringing back the verbatim log of an export, verifying every hash, every content and the form of every entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from ledger.errors import Corrupt, LedgerError, Malformed
from ledger.model.canonical import canonical, digest_of_bytes, parse_json
from ledger.model.entry import EMPTY, Head, Record, Sealed, head_after, open_envelope, seal
from ledger.model.reference import check_tag
from ledger.model.tag import Tag
from ledger.service.garbage import uncollected
from ledger.service.live import Live
from ledger.service.service import LedgerService
from ledger.service.wellformed import check_form
from ledger.store.base import PAGE_CHARS, PAGE_ENTRIES
from ledger.validity.applying import apply_each

Progress = Callable[[int], None]


async def restore(ledger: LedgerService, lines: Iterable[bytes], progress: Progress | None = None) -> Head:
    """Bring a verbatim log (`export --entries`) into a ledger that is empty or holds its beginning.

    Raises Malformed, Corrupt.
    """
    restoring = Restoring(ledger, progress)
    for line in lines:
        await restoring.add(line)
    return await restoring.finish()


class Restoring:
    """A verbatim log on its way into a ledger, line by line: what is there must be its beginning.

    So a restore that was cut off can be run again.
    """

    def __init__(self, ledger: LedgerService, progress: Progress | None = None) -> None:
        self.ledger = ledger
        self.head = EMPTY
        self._progress = progress
        self._lines = 0
        self._held: Head | None = None
        self._page: list[Sealed] = []
        self._places: list[int] = []  # the line of each
        self._chars = 0  # of the contents in it
        self._tags: list[Tag] = []

    async def add(self, line: bytes) -> None:
        """The next line, an entry or a tag; blank ones do not matter. Raises Malformed and Corrupt, with the line."""
        self._lines += 1
        if not line.strip():
            return
        data = _parsed(line, self._lines)
        if "tag" in data:
            self._tags.append(_tag(data, self._lines, self.head))
            return
        held = await self._there()
        sealed = _verbatim(data, self._lines, self.head.hash, self.head.seq + 1)
        self.head = head_after(sealed)
        if self.head.seq > held.seq:
            await self._take(sealed)
        elif self.head.seq == held.seq and self.head.hash != held.hash:
            raise Corrupt(f"{self.ledger.name!r} holds another history; restore into a new ledger", line=self._lines)

    async def finish(self) -> Head:
        """All lines were given; the head they lead to. Raises Corrupt when the ledger goes further, TagConflict."""
        held = await self._there()
        await self._append()
        if self.head.seq < held.seq:
            raise Corrupt(f"{self.ledger.name!r} holds {held.seq} entries, the file only {self.head.seq}")
        await self.ledger.live.catch_up()
        for tag in self._tags:
            await self.ledger.tagged.put(tag)
        return self.head

    async def _there(self) -> Head:
        """What the ledger held before."""
        if self._held is None:
            self._held = await self.ledger.store.head(self.ledger.name) or EMPTY
        return self._held

    async def _take(self, sealed: Sealed) -> None:
        # Whole batches alone: who watches is told of a batch when he sees its end. So the largest is held as a whole.
        full = len(self._page) >= PAGE_ENTRIES or self._chars >= PAGE_CHARS
        if full and sealed.entry.batch != self._page[-1].entry.batch:
            await self._append()
        self._page.append(sealed)
        self._places.append(self._lines)
        self._chars += len(sealed.content or "")

    async def _append(self) -> None:
        page, self._page, self._chars = self._page, [], 0
        places, self._places = self._places, []
        if not page:
            return
        live = self.ledger.live
        await live.catch_up()
        head = live.head
        _put_ahead(live, page, places)
        try:
            await self.ledger.store.append(self.ledger.name, head, page)
        except BaseException:
            live.void()
            raise
        live.take_in(page)
        if self.ledger.mirror is not None:
            self.ledger.mirror.show(sealed.entry.seq for sealed in page if isinstance(sealed.entry, Record))
        if self._progress is not None:
            self._progress(len(page))


def _put_ahead(live: Live, page: Sequence[Sealed], places: Sequence[int]) -> None:
    """Try all of a page on what is there, before any of it is written. Raises Corrupt, with the line."""
    with uncollected(), live.taking_over(page[0].entry.recorded_at_us) as index:
        for sealed, line in zip(page, places, strict=True):
            try:
                check_form(index, sealed.entry)
                apply_each(index, (sealed.entry,))
            except Corrupt as error:
                raise error.at(line=line) from None
        live.put_ahead(page)


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        data = parse_json(line)
    except LedgerError as error:
        raise error.at(line=number) from None
    if not isinstance(data, dict):
        raise Malformed("not a line of a verbatim export: it is no object", line=number)
    if "op" in data:
        raise Malformed("not a line of a verbatim export; it looks like a command: use `import`", line=number)
    return data


def _tag(data: dict[str, Any], number: int, head: Head) -> Tag:
    """A tag names what stands right before it."""
    try:
        name = check_tag(data["tag"], "tag")
        told = data["seq"], bytes.fromhex(data["hash"])
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not a line of a verbatim export: {error}", line=number) from error
    except LedgerError as error:
        raise error.at(line=number) from None
    if told != (head.seq, head.hash):
        raise Corrupt(f"the tag {name!r} does not name entry {head.seq}, behind which it stands", line=number)
    return Tag(name, head.seq, head.hash)


def _verbatim(data: dict[str, Any], number: int, previous: bytes, seq: int) -> Sealed:
    try:
        told = bytes.fromhex(data["hash"])
        entry = open_envelope(orjson.dumps(data["entry"]))
        content = data.get("content")
    except (KeyError, TypeError, ValueError) as error:
        raise Malformed(f"not a line of a verbatim export: {error}", line=number) from error
    form = None if "content" not in data else canonical(content)
    sealed = seal(entry, previous, None if form is None else form.decode())
    if entry.seq != seq:
        raise Corrupt(f"entry {seq} is missing; the line holds entry {entry.seq}", line=number)
    if sealed.hash != told:
        raise Corrupt(f"entry {seq} does not have the hash that is told of it", line=number)
    if isinstance(entry, Record) and form is not None and digest_of_bytes(form) != entry.digest:
        raise Corrupt(f"the content of entry {seq} does not have its digest", line=number)
    return sealed
