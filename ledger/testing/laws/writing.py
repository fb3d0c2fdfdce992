"""Law 10: batches are atomic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ledger.errors import NotFound
from ledger.testing.page import Page


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

    async def test_each_command_tells_what_it_did_itself(self, page: Page) -> None:
        """Law 10: commands of a batch may share an entry; what fell is told by the one that felled it."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            record  dependency q 1                       -> @2 recorded fresh
            batch
                record dependency p 1                    -> @3 repeated fresh
                verify q 2                               -> @3 diverged stale diverged, fell q@1
        """)

    async def test_a_look_is_judged_where_it_stands(self, page: Page) -> None:
        """Law 10: commands of a batch act in order, though looks and attempts are written at its end."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            batch
                record dependency p 1                    -> … repeated fresh amended
                record dependency p 2 amends 1           -> … amended fresh
            batch
                verify p 2                               -> … verified fresh amended
                record dependency p 3 amends 2           -> … amended fresh
            check   p                                    -> fresh
        """)

    async def test_an_attempt_is_judged_where_it_stands(self, page: Page) -> None:
        """Law 10: an attempt contradicts the edition that is current then, not one born later in the batch."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            record  dependency p 2                       -> @2 recorded fresh, fell p@1
            revoke  p@1 wrong_from_birth                 -> @3 revoked stale wrong_from_birth
            batch
                record dependency p 1                    -> … condemned stale wrong_from_birth, stands @3…
                record dependency p 3                    -> … recorded fresh…
            check   p                                    -> fresh
        """)

    async def test_a_match_settles_what_was_seen_before_it(self, page: Page) -> None:
        """Law 10: a repetition settles what an earlier look or attempt of its batch saw, whatever it adds."""
        await page("""
            record  dependency q 1                       -> @1 recorded fresh
            record  dependency p 1                       -> @2 recorded fresh
            record  dependency p 2                       -> @3 recorded fresh, fell p@1
            record  belief b 1 because p                 -> @4 recorded fresh
            revoke  p@1 wrong_from_birth                 -> @5 revoked stale wrong_from_birth
            batch
                record dependency p 1                    -> … condemned stale wrong_from_birth, stands @5…
                verify p 9                               -> … diverged fresh…
                record dependency p 2                    -> … repeated fresh…
            check   p b                                  -> fresh; fresh
            batch
                verify b 9                               -> … diverged fresh…
                record belief b 1 because q              -> … justified fresh…
            check   b                                    -> fresh
            batch
                verify p 9                               -> … diverged fresh…
                record dependency p 2 valid_until +1h    -> … repeated fresh…
            check   p                                    -> fresh
            batch
                record dependency p 1                    -> … condemned stale wrong_from_birth, stands @5…
                record dependency p 2 valid_until +2h    -> … repeated fresh…
            check   p                                    -> fresh
        """)

    async def test_what_is_seen_after_a_match_counts(self, page: Page) -> None:
        """Law 10: a look or an attempt after a repetition makes it diverged."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            record  dependency p 2                       -> @2 recorded fresh, fell p@1
            revoke  p@1 wrong_from_birth                 -> @3 revoked stale wrong_from_birth
            batch
                record dependency p 2 valid_until +1h    -> … repeated stale diverged
                record dependency p 2                    -> … repeated stale diverged
                record dependency p 1                    -> … condemned stale wrong_from_birth, stands @3, fell p@2
            record  dependency p 2                       -> … repeated fresh, revived p@2
            batch
                record dependency p 2                    -> … repeated stale diverged
                verify p 9                               -> … diverged stale diverged, fell p@2
            check   p                                    -> stale diverged…
        """)

    async def test_a_divergence_and_its_amendment(self, page: Page) -> None:
        """Law 10: an amendment settles what was seen before it in the batch, if it says the same."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            batch
                verify p 2                               -> … diverged fresh amended…
                record dependency p 2 amends 1           -> … amended fresh…
            check   p                                    -> fresh
            batch
                verify p 9                               -> … diverged stale diverged…
                record dependency p 3 amends 2           -> … amended stale diverged…
            check   p                                    -> stale diverged…
            batch
                record dependency p 9 amends 3           -> … amended stale diverged…
                verify p 3                               -> … diverged stale diverged…
            check   p                                    -> stale diverged…
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
        for commands in (
            [],
            [{"op": "batch", "commands": [{"op": "record", "kind": "belief", "content": 1}]}],
        ):
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
        """Law 10: a batch is its caller's own, however commits are grouped: a refusal touches no other."""
        record = page.ledger.record
        answers = await asyncio.gather(
            *(
                record("belief", number, key=f"a/{number}", because=[["nowhere"]] * (number % 2))
                for number in range(20)
            ),
            return_exceptions=True,
        )
        assert [isinstance(answer, NotFound) for answer in answers] == [False, True] * 10
        assert (await page.ledger.status()).head == 10

    async def test_a_batch_refused_midway_leaves_nothing_in_the_commit_it_shares(self, page: Page) -> None:
        """Law 10: what it had done until then is undone before the next batch of that commit is judged."""

        def batch(number: int) -> list[dict[str, Any]]:
            first = {"op": "record", "kind": "belief", "key": f"a/{number}", "content": number}
            support = "nowhere" if number % 2 else f"a/{number}"
            return [first, {**first, "key": f"b/{number}", "because": [[support]]}]

        answers = await asyncio.gather(
            *(page.ledger.apply(batch(number)) for number in range(20)), return_exceptions=True
        )
        assert [isinstance(answer, NotFound) for answer in answers] == [False, True] * 10
        assert (await page.ledger.status()).head == 20
        fresh = (await page.ledger.check([f"a/{number}" for number in range(20)])).fresh
        assert fresh == [f"a/{number}" for number in range(0, 20, 2)]
        assert (await page.ledger.audit()).ok

    async def test_each_line_of_an_import_is_a_batch(self, page: Page) -> None:
        """Law 10: an import stops at the first error, naming its line; what was committed stays."""
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
        lines = [
            b'{"op":"record","kind":"belief","key":"a","content":1}',
            b"",
            b'{"op":"revoke","target":"b"}',
        ]
        with pytest.raises(NotFound) as stopped:
            await page.ledger.import_lines(lines, atomic=True)
        assert stopped.value.details["line"] == 3
        await page("entries -> none")
