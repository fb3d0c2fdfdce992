"""Whoever watches is told what each batch did (laws 7, 10): in order, without gap or repetition, later as at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from ledger.errors import Behind, ForeignRevision, Malformed
from ledger.model.change import Change, Mentions, Turns
from ledger.testing.desk import HEARD_WITHIN_S, Desk
from ledger.testing.page import Page

HISTORY = """
    record     dependency p 1                                -> @1 recorded fresh
    record     dependency q 1 valid_until +10s               -> @2 recorded fresh
    record     belief b 1 because p & q                      -> @3 recorded fresh
    record     decision d 1 because b                        -> @4 recorded fresh
    revoke     p quarantined                                 -> @5 revoked …
    record     dependency p 1                                -> @6 withheld …
    reinstate  p                                             -> @7 reinstated …
    wait       20s
    record     dependency q 2                                -> @9 recorded fresh
    record     belief b 1 because p                          -> @10 justified fresh, revived …
    batch
        verify p 2                                           -> @14 diverged stale diverged, fell …
        record belief c 1 because p                          -> @11 recorded stale …
        record belief e 1 because c                          -> @12 recorded stale …
        verify p 2                                           -> @14 diverged …
        revoke @10                                           -> @13 revoked …
"""
TOLD = [
    "@1: recorded p@1",
    "@2: recorded q@1",
    "@3: recorded b@1",
    "@4: recorded d@1",
    "@5: withdrawn p@1, fell p@1 b@1 d@1 by @5",
    "@6: noted p@1",
    "@7: reinstated p@1, revived p@1 b@1 d@1 by @7",
    "@8: expired q@1, fell q@1 b@1 d@1 by @8",
    "@9: recorded q@2",
    "@10: noted b@1, revived b@1 d@1 by @10",
    "@14: recorded c@1 e@1, withdrawn @10, noted p@1, fell b@1 d@1 by @13, fell p@1 c@1 e@1 by @14",
]


class Watching:
    """Laws 7 and 10, for those who watch."""

    async def test_a_batch_is_told_with_what_it_did(self, page: Page) -> None:
        """Law 10: one change a batch: what it recorded, withdrew, lifted, and what fell and revived by which entry."""
        async with watched(page) as changes:
            await page(HISTORY)
            assert list(map(told, await take(changes, len(TOLD)))) == TOLD

    async def test_what_is_told_later_is_the_same(self, page: Page, desk: Desk) -> None:
        """Law 10: who resumes after any revision is told the same as who was there, here and in another process."""
        empty = page.ledger.revision
        async with watched(page) as changes:
            await page(HISTORY)
            there = await take(changes, len(TOLD))
        for ledger in (page, await desk.open()):
            for number, revision in enumerate([empty, *(change.revision for change in there[:-1])]):
                async with watched(ledger, revision) as changes:
                    assert await take(changes, len(there) - number) == there[number:]

    async def test_expiry_is_told(self, page: Page) -> None:
        """Law 7: what falls when time passes is told as well, though reads saw it first: of each, by its own expiry."""
        await page("""
            record     dependency p 1 valid_until +20s   -> @1 recorded fresh
            record     dependency q 1 valid_until +10s   -> @2 recorded fresh
            record     belief b 1 because p & q          -> @3 recorded fresh
            record     belief c 1 because p              -> @4 recorded fresh
            record     belief d 1 because p | q          -> @5 recorded fresh
            record     dependency r 1 valid_until +90s   -> @6 recorded fresh
        """)
        async with watched(page) as changes:
            await page("""
                wait       60s
                check      p q b c d r  -> stale expired, …; stale expired, …; …; …; stale unsupported, …; fresh
                record     belief e 1                    -> @9 recorded fresh
                check      p q b c d r  -> stale expired, …; stale expired, …; …; …; stale unsupported, …; fresh
            """)
            assert list(map(told, await take(changes, 3))) == [
                "@7: expired q@1, fell q@1 b@1 by @7",
                "@8: expired p@1, fell p@1 c@1 d@1 by @8",
                "@9: recorded e@1",
            ]

    async def test_another_process_is_heard(self, page: Page, desk: Desk) -> None:
        """Law 10: a watcher hears of what other processes write, though nobody reads in his own."""
        other = await desk.open()
        async with watched(other) as changes:
            await page("""
                record     dependency p 1                -> @1 recorded fresh
                record     belief b 1 because p          -> @2 recorded fresh
                revoke     p                             -> @3 revoked stale revoked, fell p@1 b@1
            """)
            came = list(map(told, await take(changes, 3)))
        assert came == ["@1: recorded p@1", "@2: recorded b@1", "@3: withdrawn p@1, fell p@1 b@1 by @3"]

    async def test_from_now_on(self, page: Page) -> None:
        """Law 10: without a revision the changes begin where the ledger is when they are asked for."""
        await page("record belief a 1                        -> @1 recorded fresh")
        async with watched(page) as changes:
            await page("record belief b 1                    -> @2 recorded fresh")
            assert told(await take_one(changes)) == "@2: recorded b@1"

    async def test_a_batch_seen_in_part(self, page: Page) -> None:
        """Law 10: batches are told whole, also to who resumes within one."""
        await page("""
            record     belief a 1                        -> @1 recorded fresh
            batch
                record belief b 1                        -> @2 recorded fresh
                record belief c 1                        -> @3 recorded fresh
        """)
        within = f"{page.ledger.name}@2.{(await page.ledger.entry('@2')).hash[:8]}"
        async with watched(page, within) as changes:
            assert told(await take_one(changes)) == "@3: recorded b@1 c@1"

    async def test_writers_and_watchers_at_once(self, page: Page, desk: Desk) -> None:
        """Law 10: whenever a watcher comes, and whoever writes meanwhile, he is told all, each once, in order."""
        other, empty = await desk.open(), page.ledger.revision

        async def write(ledger: Page, name: str) -> None:
            for number in range(20):
                await ledger.ledger.record("belief", number, key=name)

        async def watch(ledger: Page, after_s: float) -> list[Change]:
            await asyncio.sleep(after_s)
            async with watched(ledger, empty) as changes:
                return await take(changes, 40)

        watchers = [watch(ledger, number / 50) for number in range(6) for ledger in (page, other)]
        writers = asyncio.gather(write(page, "one"), write(other, "two"))
        histories = await asyncio.gather(*watchers)
        await writers
        for history in histories:
            assert [change.revision.partition(".")[0] for change in history] == [
                f"{page.ledger.name}@{seq}" for seq in range(1, 41)
            ]
            assert history == histories[0]

    async def test_after_what_is_no_revision_of_ours(self, page: Page, desk: Desk) -> None:
        """Law 9: changes resume after a revision of this ledger's history alone."""
        await page("record belief a 1                        -> @1 recorded fresh")
        for after, refusal in (
            ("yesterday", Malformed),
            (f"{page.ledger.name}@1.00000000", ForeignRevision),
            (f"{page.ledger.name}.b@1.00000000", ForeignRevision),
        ):
            with pytest.raises(refusal) as caught:
                await take_one(page.ledger.changes(after))
            assert caught.value.details["field"] == "after"
        other = await desk.open(reach_s=0.1)
        with pytest.raises(Behind):
            await take_one(other.ledger.changes(f"{page.ledger.name}@7.00000000"))


@contextlib.asynccontextmanager
async def watched(page: Page, after: str | None = None) -> AsyncGenerator[AsyncGenerator[Change]]:
    changes = page.ledger.changes(after)
    async with contextlib.aclosing(changes):
        yield changes


async def take(changes: AsyncGenerator[Change], count: int) -> list[Change]:
    return [await take_one(changes) for _ in range(count)]


async def take_one(changes: AsyncGenerator[Change]) -> Change:
    async with asyncio.timeout(HEARD_WITHIN_S):
        return await anext(changes)


def told(change: Change) -> str:
    """A change on one line: `@5: withdrawn p@1, fell p@1 b@1 by @5`."""
    parts = []
    for name in ("recorded", "withdrawn", "reinstated", "expired", "noted"):
        mentions: Mentions = getattr(change, name)
        assert mentions.count == len(mentions.first)
        parts += [f"{name} {' '.join(mention.ref for mention in mentions.first)}"] if mentions.count else []
    for name in ("fell", "revived"):
        turns: Turns = getattr(change, name)
        assert turns.count == len(turns.first)
        for cause in dict.fromkeys(turn.cause for turn in turns.first):
            parts.append(f"{name} {' '.join(turn.ref for turn in turns.first if turn.cause == cause)} by {cause}")
    seq = change.revision.rpartition("@")[2].partition(".")[0]
    return f"@{seq}: {', '.join(parts)}"
