"""Tags of one ledger: named once, read once, good wherever a revision is."""

from __future__ import annotations

from ledger.errors import NoSuchTag, TagConflict
from ledger.model.entry import revision_token
from ledger.model.tag import Tag, names_tag, reference_to, tag_named
from ledger.store.base import Store


class Tags:
    """What is known of them here. A tag never moves, so one that was read once is not asked for again."""

    def __init__(self, store: Store, ledger: str) -> None:
        self._store = store
        self._ledger = ledger
        self._known: dict[str, str] = {}  # revisions, by `tag:NAME`

    def known(self, text: str) -> str | None:
        """The revision that a text names: itself, or that of a tag; None for a tag that was not read yet."""
        return self._known.get(text) if names_tag(text) else text

    async def revision(self, text: str, field: str) -> str:
        """The same, asking the store for a tag that is not known. Raises NoSuchTag, Malformed, StoreError."""
        if (found := self.known(text)) is not None:
            return found
        name = tag_named(text, field)
        there = [tag.name for tag in await self.all()]
        if (found := self.known(text)) is not None:
            return found
        hint = f"; here are: {', '.join(there[:10])}" if there else "; there are none yet"
        raise NoSuchTag(f"{self._ledger!r} has no tag {name!r}{hint}", field=field, ref=text)

    async def all(self) -> list[Tag]:
        """Sorted by name."""
        tags = await self._store.tags(self._ledger)
        for tag in tags:
            self._known[reference_to(tag.name)] = self.revision_of(tag)
        return tags

    async def put(self, tag: Tag) -> bool:
        """Whether it is new. Raises TagConflict when its name is taken by another revision; NoSuchLedger."""
        taken = await self._store.put_tag(self._ledger, tag)
        if taken is not None and taken != tag:
            raise TagConflict(
                f"{tag.name!r} is the tag of {self.revision_of(taken)}, and a tag never moves",
                revision=self.revision_of(taken),
            )
        self._known[reference_to(tag.name)] = self.revision_of(tag)
        return taken is None

    def revision_of(self, tag: Tag) -> str:
        """What it names, as a token."""
        return revision_token(self._ledger, tag.seq, tag.hash)
