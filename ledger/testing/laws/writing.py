"""Laws 9-11: what is acknowledged is seen, batches are atomic, and repeated commands are answered, not repeated."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from ledger.app import Ledger
from ledger.errors import NotFound, Unavailable
from ledger.model.entry import Head, Sealed
from ledger.store.base import PAGE_ENTRIES, NodeState, Store
from ledger.testing.desk import Desk
from ledger.testing.page import Page, told


class Barrier:
    """Law 9, as far as one process goes."""

    async def test_an_acknowledged_revocation_is_seen(self, page: Page) -> None:
        """Law 9: once a revocation is acknowledged, no check in this process answers fresh for what it fells."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 because p          -> @2 recorded fresh
        """)
        for turn in range(20):
            revoked = await page.ledger.revoke("p")
            report = await page.ledger.check(["p", "b"])
            assert [verdict.state for verdict in report.verdicts] == ["stale", "stale"], turn
            assert report.revision == revoked.revision
            await page.ledger.reinstate("p")

    async def test_each_caller_sees_its_own(self, page: Page) -> None:
        """Law 9: the same when many write at once."""

        async def come_and_go(number: int) -> list[str]:
            key = f"p/{number}"
            await page.ledger.record("dependency", number, key=key)
            await page.ledger.record("belief", number, key=f"b/{number}", because=[[key]])
            await page.ledger.revoke(key)
            return [verdict.state for verdict in (await page.ledger.check([key, f"b/{number}"])).verdicts]

        assert await asyncio.gather(*map(come_and_go, range(20))) == [["stale", "stale"]] * 20
        assert (await page.ledger.status()).head == 60

    async def test_an_answer_names_its_revision(self, page: Page) -> None:
        """Law 9: an answer always names the revision it holds for."""
        results = [await page.ledger.record("belief", number, key="a") for number in range(3)]
        report = await page.ledger.check(["a"])
        assert report.revision == results[-1].revision == page.ledger.revision
        assert [result.revision.rpartition("@")[2].partition(".")[0] for result in results] == ["1", "2", "3"]

    async def test_without_an_event_loop(self, desk: Desk) -> None:
        """Law 9: the same for callers without an event loop, who check without waiting."""
        with Ledger.open(await desk.store(), desk.name, clock=desk.clock) as ledger:
            ledger.record("dependency", 1, key="p")
            ledger.record("belief", 1, key="b", because=[["p"]])
            for _ in range(10):
                assert ledger.check(["b"]).fresh == ["b"]
                ledger.revoke("p")
                assert ledger.check(["b"]).fresh == []
                ledger.reinstate("p")
            assert ledger.audit().ok

    async def test_two_processes_write_to_one_ledger(self, page: Page, desk: Desk) -> None:
        """Law 9: the log has one order; each process judges on top of what the others wrote."""
        other = await desk.open()
        await page("record dependency p 1                     -> @1 recorded fresh")
        await other("record belief b 1 because p              -> @2 recorded fresh")
        await page("revoke p                                  -> @3 revoked stale revoked, fell p@1 b@1")
        await other("record decision d 1 because b            -> @4 recorded stale unsupported")
        await page("record dependency p 1                     -> @5 withheld stale revoked, stands @3")
        await desk.until_heard(other, 5)
        await other("check p b d   -> stale revoked, cause @3; stale unsupported, cause @3; stale unsupported, cause @3")

    async def test_two_processes_write_at_once(self, page: Page, desk: Desk) -> None:
        """Law 9: nothing is lost and nothing stands twice when two processes write at the same time."""
        other = await desk.open()

        async def write(ledger: Page, name: str) -> list[str]:
            results = [await ledger.ledger.record("belief", number, key=name) for number in range(15)]
            return [result.entry for result in results]

        one, two = await asyncio.gather(write(page, "one"), write(other, "two"))
        assert sorted(one + two) == sorted(f"@{seq}" for seq in range(1, 31))
        await desk.until_heard(page, 30)
        await desk.until_heard(other, 30)
        await page("check one@15 two@15 -> fresh; fresh")
        await other("check one@15 two@15 -> fresh; fresh")


class Batches:
    """Law 10."""

    async def test_all_or_none(self, page: Page) -> None:
        """Law 10: a batch is atomic; a refusal names the command and leaves nothing behind."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            batch                                        -> refused not_found, command 2
                record belief a 1 because p
                revoke p
                record belief b 1 because nowhere
            check   p a                                  -> fresh; unknown not_found
            entries                                      -> @1
            record  belief a 1                           -> @2 recorded fresh
        """)

    async def test_references_resolve_in_order(self, page: Page) -> None:
        """Law 10: references resolve in order inside the batch, never forward."""
        await page("""
            batch
                record dependency p 1                    -> @1 recorded stale superseded
                record belief a 1 because p              -> @2 recorded stale unsupported
                record dependency p 2                    -> @3 recorded fresh, fell p@1 a@1
                record belief b 1 because p@2 & @3       -> @4 recorded fresh
                record belief c 1 because p@1            -> @5 recorded stale unsupported
            batch                                        -> refused not_found, command 0
                record belief d 1 because e
                record belief e 1
        """)

    async def test_verdicts_are_of_the_end(self, page: Page) -> None:
        """Law 10: the answers of a batch tell how things stand at its end."""
        await page("""
            batch
                record dependency p 1                    -> @1 recorded stale revoked
                record belief b 1 because p              -> @2 recorded stale unsupported
                revoke p                                 -> @3 revoked stale revoked, fell p@1 b@1
        """)

    async def test_require_fresh_is_judged_at_the_end(self, page: Page) -> None:
        """Law 10: `require_fresh` asks what stands at the end of the batch."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            batch                                        -> refused stale_premise, command 0
                record belief b 1 because p require_fresh
                revoke p
            revoke  p                                    -> @2 revoked stale revoked, fell p@1
            batch
                record belief b 1 because p require_fresh    -> @3 recorded fresh
                reinstate p                                  -> @4 reinstated fresh, revived p@1 b@1
        """)

    async def test_a_batch_may_undo_itself(self, page: Page) -> None:
        """Law 10: within a batch each command sees those before it."""
        await page("""
            record  belief a 1                           -> @1 recorded fresh
            batch
                revoke a                                 -> @2 revoked fresh, fell a@1
                reinstate a                              -> @3 reinstated fresh, revived a@1
        """)

    async def test_what_is_no_batch(self, page: Page) -> None:
        """Law 10: a batch holds at least one command, and no batches."""
        for commands in ([], [{"op": "batch", "commands": [{"op": "record", "kind": "belief", "content": 1}]}]):
            with pytest.raises(Exception, match=r"batch|command") as refused:
                await page.ledger.apply(commands)
            assert getattr(refused.value, "code", None) == "malformed"

    async def test_what_a_batch_says_of_all(self, page: Page) -> None:
        """Law 10: actor and moment given to the batch hold for the commands that do not say otherwise."""
        await page("""
            batch by alice at -5s
                record belief a 1                        -> @1 recorded fresh
                record belief b 1 by bob                 -> @2 recorded fresh
        """)
        entries = await page.ledger.entries()
        assert [entry.actor for entry in entries] == ["alice", "bob"]
        assert [entry.occurred_at for entry in entries] == ["2025-12-31T23:59:55.000000Z"] * 2

    async def test_commits_are_shared_and_refusals_are_not(self, page: Page) -> None:
        """Law 10: a batch is its caller's own, however commits are grouped: one's refusal does not touch the others."""
        record = page.ledger.record
        answers = await asyncio.gather(
            *(record("belief", number, key=f"a/{number}", because=[["nowhere"]] * (number % 2)) for number in range(20)),
            return_exceptions=True,
        )
        assert [isinstance(answer, NotFound) for answer in answers] == [False, True] * 10
        assert (await page.ledger.status()).head == 10

    async def test_each_line_of_an_import_is_a_batch(self, page: Page) -> None:
        """Law 10: an import stops at the first error, whose line it names; what was committed stays, the rest can follow."""
        lines = [
            b'{"op":"record","kind":"belief","key":"a","content":1}',
            b'{"op":"record","kind":"belief","key":"b","content":1,"because":[["c"]]}',
            b'{"op":"record","kind":"belief","key":"d","content":1}',
        ]
        with pytest.raises(NotFound) as stopped:
            await page.ledger.import_lines(lines)
        assert stopped.value.details["line"] == 2
        await page("entries -> @1")
        lines[1] = lines[1].replace(b'"c"', b'"a"')
        assert (await page.ledger.import_lines(lines)).replayed == 1
        assert (await page.ledger.import_lines(lines)).replayed == 3
        await page("entries -> @1 @2 @3")

    async def test_an_atomic_import_is_one_batch(self, page: Page) -> None:
        """Law 10: an atomic import is all or none, and names the line that stopped it."""
        lines = [b'{"op":"record","kind":"belief","key":"a","content":1}', b"", b'{"op":"revoke","target":"b"}']
        with pytest.raises(NotFound) as stopped:
            await page.ledger.import_lines(lines, atomic=True)
        assert stopped.value.details["line"] == 3
        await page("entries -> none")


class Idempotency:
    """Law 11."""

    async def test_the_same_command_again(self, page: Page) -> None:
        """Law 11: the same command again is answered with the first result, marked replayed, and today's verdict."""
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
            revoke     p idempotency_key k                       -> @2 revoked stale revoked, fell p@1, replayed
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
            verify     p 3 idempotency_key d                         -> @6 diverged stale diverged, fell …, replayed
            record     belief b 1 because p                          -> @7 recorded stale unsupported
            record     belief b 1 because q idempotency_key e        -> @8 justified fresh, revived b@1
            record     belief b 1 because q idempotency_key e        -> @8 justified fresh, revived …, replayed
            revoke     p quarantined                                 -> @9 revoked stale quarantined
            record     dependency p 1 idempotency_key f              -> @10 condemned stale quarantined, stands @9
            record     dependency p 1 idempotency_key f      -> @10 condemned stale quarantined, stands @9, replayed
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
                record dependency p 1                            -> @4 withheld stale revoked, stands @2, replayed
                record belief b 1                                -> @3 recorded fresh, replayed
        """)

    async def test_two_at_once(self, page: Page, desk: Desk) -> None:
        """Law 11: of the same command sent twice at once, by one process or two, one is recorded and one replayed."""
        other = await desk.open()
        ledgers = [page.ledger, page.ledger, other.ledger, other.ledger]
        answers = await asyncio.gather(*(one.record("belief", 1, key="a", idempotency_key="k") for one in ledgers))
        replayed = "@1 recorded fresh, replayed"
        assert sorted(map(told, answers)) == ["@1 recorded fresh", replayed, replayed, replayed]

    async def test_a_lost_acknowledgement(self, desk: Desk) -> None:
        """Law 11: a commit that landed though its acknowledgement was lost is found, and not made twice."""
        store = Faulty(await desk.store())
        page = await desk.open(store=store)
        await page("record belief a 1 -> @1 recorded fresh")
        store.lose_next = "acknowledgement"
        await page("""
            record  belief b 1                                   -> @2 recorded fresh
            record  belief c 1                                   -> @3 recorded fresh
        """)

    async def test_a_lost_commit(self, desk: Desk) -> None:
        """Law 11: a commit that was lost on its way is made again."""
        store = Faulty(await desk.store())
        page = await desk.open(store=store)
        store.lose_next = "commit"
        await page("""
            record  belief a 1                                   -> @1 recorded fresh
            record  belief b 1                                   -> @2 recorded fresh
        """)

    async def test_another_was_faster_while_the_commit_was_in_doubt(self, desk: Desk) -> None:
        """Law 11: when another's entry stands where ours was to be, ours is judged anew on top of it."""
        store = Faulty(await desk.store())
        page, other = await desk.open(store=store), await desk.open()
        await page("record belief a 1 -> @1 recorded fresh")
        store.lose_next = "commit"
        store.meanwhile = lambda: other.ledger.record("belief", 2, key="a")
        await page("record belief a 3 -> @3 recorded fresh, fell a@2")


class Faulty(Store):
    """A store whose line breaks: before a commit, or before its acknowledgement."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.poll_s = store.poll_s
        self.lose_next: str | None = None
        self.meanwhile = None

    async def append(
        self, ledger: str, expects: Head, entries: Sequence[Sealed], states: Sequence[NodeState] = ()
    ) -> None:
        lost, self.lose_next = self.lose_next, None
        if lost != "commit":
            await self.store.append(ledger, expects, entries, states)
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            await meanwhile()
        if lost is not None:
            raise Unavailable("the line broke")

    async def open(self, *, create: bool) -> None:
        await self.store.open(create=create)

    async def close(self) -> None:
        await self.store.close()

    async def ledgers(self) -> list[str]:
        return await self.store.ledgers()

    async def head(self, ledger: str) -> Head | None:
        return await self.store.head(ledger)

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        return await self.store.read(ledger, after, limit, content=content)

    async def pick(self, ledger: str, seqs: Sequence[int], *, content: bool = False) -> list[Sealed]:
        return await self.store.pick(ledger, seqs, content=content)

    def moved(self, ledger: str, seen: Head) -> bool:
        return self.store.moved(ledger, seen)
