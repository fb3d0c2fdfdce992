"""Law 11: the same command is answered again, and what is in doubt is looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ledger.errors import Unavailable
from ledger.model.entry import Head, Sealed
from ledger.store.base import NodeState, Store
from ledger.testing.desk import Desk
from ledger.testing.page import Page, told


class Idempotency:
    """Law 11."""

    async def test_the_same_command_again(self, page: Page) -> None:
        """Law 11: the same command again gets the first result, marked replayed, and today's verdict."""
        await page("""
            record     dependency p 1                            -> @1 recorded fresh
            record     belief a 1 because p idempotency_key k    -> @2 recorded fresh
            revoke     p idempotency_key l                       -> @3 revoked stale revoked, fell p@1 a@1
            record     belief a 1 because p idempotency_key k    -> @2 recorded stale unsupported, replayed
            reinstate  p idempotency_key m                       -> @4 reinstated fresh, revived p@1 a@1
            revoke     p idempotency_key l                       -> @3 revoked fresh, fell …, replayed
            reinstate  p idempotency_key m                       -> @4 reinstated fresh, revived …, replayed
            entries                                              -> @1 @2 @3 @4
        """)

    async def test_what_fell_at_first_is_told_again(self, page: Page) -> None:
        """Law 11: the first result is answered whole, with what fell and revived then."""
        await page("""
            record     dependency p 1                            -> @1 recorded fresh
            revoke     p idempotency_key k                       -> @2 revoked stale revoked, fell p@1
            revoke     p idempotency_key k                     -> @2 revoked stale revoked, fell p@1, replayed
        """)

    async def test_every_outcome_is_remembered(self, page: Page) -> None:
        """Law 11: whatever came of a command is what its repetition is told."""
        await page("""
            record     dependency q 1                                -> @1 recorded fresh
            record     dependency p 1                                -> @2 recorded fresh
            record     dependency p 2 amends 1 idempotency_key a     -> @3 amended fresh
            record     dependency p 2 amends 1 idempotency_key a     -> @3 amended fresh, replayed
            record     dependency p 2 idempotency_key b              -> @4 repeated fresh
            record     dependency p 2 idempotency_key b              -> @4 repeated fresh, replayed
            verify     p 2 idempotency_key c                         -> @5 verified fresh
            verify     p 2 idempotency_key c                         -> @5 verified fresh, replayed
            verify     p 3 idempotency_key d                         -> @6 diverged stale diverged, fell p@2
            verify     p 3 idempotency_key d                   -> @6 diverged stale diverged, fell …, replayed
            record     belief b 1 because p                          -> @7 recorded stale unsupported
            record     belief b 1 because q idempotency_key e        -> @8 justified fresh, revived b@1
            record     belief b 1 because q idempotency_key e       -> @8 justified fresh, revived …, replayed
            revoke     p quarantined                                 -> @9 revoked stale quarantined
            record     dependency p 1 idempotency_key f          -> @10 condemned stale quarantined, stands @9
            record dependency p 1 idempotency_key f -> @10 condemned stale quarantined, stands @9, replayed
        """)

    async def test_another_command_under_the_same_key(self, page: Page) -> None:
        """Law 11: another command under the same key is `idempotency_conflict`, whatever differs in it."""
        await page("""
            record     belief a {"x": 1, "y": 2} idempotency_key k       -> @1 recorded fresh
            record     belief a {"y": 2, "x": 1.0} idempotency_key k     -> @1 recorded fresh, replayed
            record     belief a {"x": 1} idempotency_key k               -> refused idempotency_conflict
            record     belief a {"x": 1, "y": 2} by me idempotency_key k -> refused idempotency_conflict
            record     belief b {"x": 1, "y": 2} idempotency_key k       -> refused idempotency_conflict
            revoke     a idempotency_key k                               -> refused idempotency_conflict
            batch idempotency_key k                                      -> refused idempotency_conflict
                record belief a {"x": 1, "y": 2}
        """)

    async def test_a_refusal_is_not_remembered(self, page: Page) -> None:
        """Law 11: refusals are not remembered; the key is free."""
        await page("""
            record     belief a 1 because b idempotency_key k            -> refused not_found
            record     belief b 1                                        -> @1 recorded fresh
            record     belief a 1 because b idempotency_key k            -> @2 recorded fresh
            batch                                                        -> refused not_found, command 1
                record belief c 1 idempotency_key l
                record belief d 1 because nowhere
            record     belief e 1 idempotency_key l                      -> @3 recorded fresh
        """)

    async def test_twice_in_one_batch(self, page: Page) -> None:
        """Law 11: the same command twice in one batch is one; another under its key refuses the batch."""
        await page("""
            record  dependency p 1                               -> @1 recorded fresh
            batch
                record belief a 1 idempotency_key k              -> @2 recorded fresh
                record belief a 1 idempotency_key k              -> @2 recorded fresh, replayed
                record dependency p 1 idempotency_key l          -> @3 repeated fresh
                record dependency p 1 idempotency_key l          -> @3 repeated fresh, replayed
            batch                                                -> refused idempotency_conflict, command 1
                record belief b 1 idempotency_key m
                record belief b 2 idempotency_key m
        """)

    async def test_inside_a_later_batch(self, page: Page) -> None:
        """Law 11: a command answered before is only answered again where it comes in a batch."""
        await page("""
            record  belief a 1 idempotency_key k                 -> @1 recorded fresh
            batch
                record belief a 1 idempotency_key k              -> @1 recorded fresh, replayed
                record belief b 1                                -> @2 recorded fresh
            batch                                                -> refused idempotency_conflict, command 0
                record belief a 2 idempotency_key k
        """)

    async def test_a_batch_as_a_whole(self, page: Page) -> None:
        """Law 11: a batch may carry a key as well, and is answered again as a whole."""
        await page("""
            record  dependency p 1                               -> @1 recorded fresh
            batch idempotency_key k                              -> done
                record belief a 1 because p                      -> @2 recorded fresh
                record dependency p 1                            -> @4 repeated fresh
                record belief b 1 because a                      -> @3 recorded fresh
                verify p 1                                       -> @4 verified fresh
            revoke  p                                            -> @5 revoked stale revoked, fell p@1 a@1 b@1
            batch idempotency_key k                              -> replayed
                record belief a 1 because p                      -> @2 recorded stale unsupported, replayed
                record dependency p 1                            -> @4 repeated stale revoked, replayed
                record belief b 1 because a                      -> @3 recorded stale unsupported, replayed
                verify p 1                                       -> @4 verified stale revoked, replayed
            batch idempotency_key k                              -> refused idempotency_conflict
                record belief a 1 because p
            record  belief a 1 because p idempotency_key k       -> refused idempotency_conflict
        """)

    async def test_a_batch_and_its_command_under_one_key(self, page: Page) -> None:
        """Law 11: a batch and a command in it are two commands, and do not share a key."""
        await page("""
            batch idempotency_key k                              -> refused idempotency_conflict …
                record belief a 1 idempotency_key k
        """)

    async def test_a_batch_with_keys_of_its_commands(self, page: Page) -> None:
        """Law 11: a command keeps its own key inside a batch with another."""
        await page("""
            batch idempotency_key whole                          -> done
                record belief a 1 idempotency_key one            -> @1 recorded fresh
                record belief b 1 idempotency_key two            -> @2 recorded fresh
            record  belief b 1 idempotency_key two               -> @2 recorded fresh, replayed
            record  belief b 1 idempotency_key one               -> refused idempotency_conflict
            batch idempotency_key whole                          -> replayed
                record belief a 1 idempotency_key one            -> @1 recorded fresh, replayed
                record belief b 1 idempotency_key two            -> @2 recorded fresh, replayed
        """)

    async def test_after_reopening(self, page: Page, desk: Desk) -> None:
        """Law 11: what was answered is known to a process that starts later."""
        await page("""
            record  dependency p 1 idempotency_key k             -> @1 recorded fresh
            revoke  p                                            -> @2 revoked stale revoked, fell p@1
            batch idempotency_key l
                record dependency p 1                            -> @4 withheld stale revoked, stands @2
                record belief b 1                                -> @3 recorded fresh
        """)
        page = await desk.reopen(page)
        await page("""
            record  dependency p 1 idempotency_key k             -> @1 recorded stale revoked, replayed
            record  dependency p 2 idempotency_key k             -> refused idempotency_conflict
            batch idempotency_key l                              -> replayed
                record dependency p 1                        -> @4 withheld stale revoked, stands @2, replayed
                record belief b 1                                -> @3 recorded fresh, replayed
        """)

    async def test_two_at_once(self, page: Page, desk: Desk) -> None:
        """Law 11: of the same command sent twice at once, by one process or two, one is recorded."""
        other = await desk.open()
        ledgers = [page.ledger, page.ledger, other.ledger, other.ledger]
        answers = await asyncio.gather(*(one.record("belief", 1, key="a", idempotency_key="k") for one in ledgers))
        replayed = "@1 recorded fresh, replayed"
        assert sorted(map(told, answers)) == ["@1 recorded fresh", replayed, replayed, replayed]

    async def test_a_lost_acknowledgement(self, desk: Desk) -> None:
        """Law 11: a commit that landed though its acknowledgement was lost is found, and not made twice."""
        store = await desk.store()
        page, line = await desk.open(store=store), BrokenLine(store)
        await page("record belief a 1 -> @1 recorded fresh")
        line.lose_next = "acknowledgement"
        await page("""
            record  belief b 1                                   -> @2 recorded fresh
            record  belief c 1                                   -> @3 recorded fresh
        """)

    async def test_a_lost_commit(self, desk: Desk) -> None:
        """Law 11: a commit that was lost on its way is made again."""
        store = await desk.store()
        page, line = await desk.open(store=store), BrokenLine(store)
        line.lose_next = "commit"
        await page("""
            record  belief a 1                                   -> @1 recorded fresh
            record  belief b 1                                   -> @2 recorded fresh
        """)

    async def test_another_was_faster_while_the_commit_was_in_doubt(self, desk: Desk) -> None:
        """Law 11: when another's entry stands where ours was to be, ours is judged anew on top of it."""
        store = await desk.store()
        page, other, line = await desk.open(store=store), await desk.open(), BrokenLine(store)
        await page("record belief a 1 -> @1 recorded fresh")
        line.lose_next = "commit"
        line.meanwhile = lambda: other.ledger.record("belief", 2, key="a")
        await page("record belief a 3 -> @3 recorded fresh, fell a@2")


class BrokenLine:
    """The line to a store breaks once: before a commit, or before its acknowledgement."""

    def __init__(self, store: Store) -> None:
        self.lose_next: str | None = None
        self.meanwhile: Callable[[], Awaitable[object]] | None = None
        self._append = store.append
        store.append = self.append  # type: ignore[method-assign]

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        lost, self.lose_next = self.lose_next, None
        meanwhile, self.meanwhile = self.meanwhile, None
        if lost != "commit":
            await self._append(ledger, expects, entries, states)
        if meanwhile is not None:
            await meanwhile()
        if lost is not None:
            raise Unavailable("the line broke")
