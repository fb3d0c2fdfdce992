"""Entries made by hand, for tests of the port alone."""

from __future__ import annotations

from msgspec.structs import replace

from ledger.model.canonical import canonical, digest_of
from ledger.model.entry import (
    EMPTY,
    Attempt,
    Belief,
    Dependency,
    Entry,
    Justification,
    Reinstatement,
    Request,
    Revocation,
    Sealed,
    Verification,
    seal,
)
from ledger.store.base import StateStore, Store
from ledger.testing.desk import Desk, StoreFactory


class Log:
    """Sealed entries made by hand, and the stores a test opened for them."""

    def __init__(self, store: StoreFactory) -> None:
        self.name = Desk(store).name
        self.stores: list[Store] = []
        self._store = store

    async def open(self) -> Store:
        store = await self._store()
        await store.open(create=True)
        self.stores.append(store)
        return store

    async def open_shown(self) -> StateStore:
        store = await self.open()
        assert isinstance(store, StateStore)
        return store

    def entries(self, count: int, content: str = "text") -> list[Sealed]:
        """Versions of one key."""
        entries: list[Sealed] = []
        for version in range(1, count + 1):
            entries += self.following(entries, content=content, version=version)
        return entries

    def following(
        self, entries: list[Sealed], *, content: str = "text", version: int = 1, actor: str | None = None
    ) -> list[Sealed]:
        """One more record on top of these."""
        last = entries[-1] if entries else None
        form = canonical(content).decode()
        return [
            self.next_to(
                last,
                Dependency,
                digest=digest_of(content),
                key="p",
                version=version,
                actor=actor,
                content=form,
            )
        ]

    def next_to(self, last: Sealed | None, kind: type[Entry], content: str | None = None, **fields: object) -> Sealed:
        """One entry, chained to the one before."""
        seq, chain = (last.entry.seq + 1, last.hash) if last else (1, EMPTY.hash)
        entry = kind(seq=seq, batch=seq, recorded_at_us=1_767_225_600_000_000 + seq, **fields)  # type: ignore[arg-type]
        return seal(entry, chain, content)

    def every_kind(self) -> list[Sealed]:
        """An entry of many kinds, with every field and text that is hard to keep."""
        odd = 'quotes " \\ and \n lines, \u2028, nul \u0000, 😀, é'
        form, digest = canonical({odd: odd}).decode(), digest_of({odd: odd})
        asked = (
            Request(digest=digest, outcome="recorded", idempotency_key="key é", fell=2),
            Request(digest=digest, outcome="batch", position=-1, idempotency_key="b"),
        )
        made: list[Sealed] = []

        def add(kind: type[Entry], content: str | None = None, **fields: object) -> None:
            made.append(self.next_to(made[-1] if made else None, kind, content, **fields))

        add(Dependency, form, digest=digest, key="a b/é😀'\"", actor="ä", occurred_at_us=-5, requests=asked)
        add(Dependency, "1", digest=digest_of(1), key="p", valid_until_us=9_000_000_000_000_000)
        add(Belief, "null", digest=digest_of(None), because=((1, 2), (2,)), cites=(1,), supersedes=(2,))
        add(Belief, None, digest=digest_of("gone"), key="q", without_content=True)
        add(Belief, "[]", digest=digest_of([]), key="q", version=2, amends=4, valid_until_us=None)
        add(Revocation, targets=(3, 4), mode="erased", reason=odd, erases=(3, 4))
        add(Revocation, targets=(1,), effective_at_us=7)
        add(Reinstatement, targets=(1,), lifts=(7,), reason="")
        add(Verification, targets=(1, 2), observed=(digest, digest_of(2)))
        add(Verification, targets=(1,), observed=(digest,), valid_until_us=None)
        add(Justification, targets=(5,), observed=(digest_of([]),), because=((1,),), supersedes=(2,))
        add(Attempt, targets=(4,), observed=(digest_of("gone"),))
        return made

    @staticmethod
    def kept(sealed: Sealed) -> Sealed:
        """As it is after the erasure among `every_kind`."""
        return replace(sealed, content=None) if sealed.entry.seq in (3, 4) else sealed
