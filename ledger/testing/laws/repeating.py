"""Law 2: repeating."""

from __future__ import annotations

from ledger.testing.page import Page


class Repeating:
    """Law 2."""

    async def test_the_same_content_is_no_new_version(self, page: Page) -> None:
        """Law 2: the content of the current version again makes no new version."""
        await page("""
            record  belief a {"x": 1, "y": [true, null]}     -> @1 recorded fresh
            record  belief a {"y": [true, null], "x": 1.0}   -> @2 repeated fresh
            names   a                                        -> a@1
            entries belief                                   -> @1
            entries verification                             -> @2
        """)

    async def test_reached_again_from_new_grounds_it_revives(self, page: Page) -> None:
        """Law 2: a `because` that is new is added, and revives the conclusion with all that rests on it."""
        await page("""
            record  dependency p 1              -> @1 recorded fresh
            record  dependency q 1              -> @2 recorded fresh
            record  belief b 1 because p        -> @3 recorded fresh
            record  decision d 1 because b      -> @4 recorded fresh
            revoke  p                           -> @5 revoked stale revoked, fell p@1 b@1 d@1
            record  belief b 1 because q        -> @6 justified fresh, revived b@1 d@1
            check   d                           -> fresh
        """)

    async def test_support_is_added_to_what_stands(self, page: Page) -> None:
        """Law 2: an added justification counts beside those that stand, each on its own."""
        await page("""
            record  dependency p 1              -> @1 recorded fresh
            record  dependency q 1              -> @2 recorded fresh
            record  belief b 1 because p        -> @3 recorded fresh
            record  belief b 1 because p | q    -> @4 justified fresh
            revoke  p                           -> @5 revoked stale revoked, fell p@1
            check   b                           -> fresh
            revoke  q                           -> @6 revoked stale revoked, fell q@1 b@1
        """)

    async def test_to_a_ground_nothing_is_added(self, page: Page) -> None:
        """Law 2: to a ground nothing is added, and its `because` is not judged."""
        await page("""
            record  belief a 1                              -> @1 recorded fresh
            record  belief b 1 because a                    -> @2 recorded fresh
            record  belief a 1 because b                    -> @3 repeated fresh
            record  dependency p 1                          -> @4 recorded fresh
            revoke  p                                       -> @5 revoked stale revoked, fell p@1
            record  belief a 1 because p require_fresh      -> @6 repeated fresh
            check   a                                       -> fresh
            record  belief a 1 because nowhere              -> refused not_found
        """)

    async def test_the_same_support_is_not_new(self, page: Page) -> None:
        """Law 2: support equal, by editions, to one this edition ever had is not new, in whatever order."""
        await page("""
            record  dependency p 1                  -> @1 recorded fresh
            record  dependency q 1                  -> @2 recorded fresh
            record  belief b 1 because p & q        -> @3 recorded fresh
            record  dependency p 2 amends 1         -> @4 amended fresh
            record  belief b 1 because q & p@2      -> @5 repeated fresh
            record  belief b 1 because q & p & p@1  -> @6 repeated fresh
            record  belief b 1                      -> @7 repeated fresh
        """)

    async def test_withdrawn_support_is_not_new_either(self, page: Page) -> None:
        """Law 2: naming support again that was withdrawn does not bring it back."""
        await page("""
            record  dependency p 1              -> @1 recorded fresh
            record  dependency q 1              -> @2 recorded fresh
            record  belief b 1 because p        -> @3 recorded fresh
            record  belief b 1 because q        -> @4 justified fresh
            revoke  @4                          -> @5 revoked fresh
            revoke  p                           -> @6 revoked stale revoked, fell p@1 b@1
            record  belief b 1 because q        -> @7 repeated stale unsupported
        """)

    async def test_new_stale_support_is_added_all_the_same(self, page: Page) -> None:
        """Law 2: what is added counts when it stands, though it did not when it was added."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency q 1              -> @2 recorded fresh
            record     belief b 1 because p        -> @3 recorded fresh
            revoke     p                           -> @4 revoked stale revoked, fell p@1 b@1
            revoke     q                           -> @5 revoked stale revoked, fell q@1
            record     belief b 1 because q        -> @6 justified stale unsupported
            reinstate  q                           -> @7 reinstated fresh, revived q@1 b@1
        """)

    async def test_a_new_supersession_is_added(self, page: Page) -> None:
        """Law 2: a repetition may supersede more keys."""
        await page("""
            record  dependency old 1                         -> @1 recorded fresh
            record  dependency new 1                         -> @2 recorded fresh
            record  dependency new 1 supersedes old          -> @3 justified fresh, fell old@1
            check   old                                      -> stale superseded, cause @3, successor new@1
        """)

    async def test_a_lifted_supersession_is_not_new(self, page: Page) -> None:
        """Law 2: a supersession the edition ever named, lifted or not, is not new."""
        await page("""
            record     dependency old 1                      -> @1 recorded fresh
            record     dependency new 1 supersedes old       -> @2 recorded fresh, fell old@1
            record     dependency new 1 supersedes old       -> @3 repeated fresh
            reinstate  old lifts @2                          -> @4 reinstated fresh, revived old@1
            record     dependency new 1 supersedes old       -> @5 repeated fresh
            check      old                                   -> fresh
        """)

    async def test_the_limit_is_kept_removed_or_replaced(self, page: Page) -> None:
        """Law 2: an absent `valid_until` keeps the old, null removes it, another replaces it."""
        await page("""
            record  dependency p 1 valid_until +10s      -> @1 recorded fresh
            record  dependency p 1                       -> @2 repeated fresh
            wait    10s
            check   p                                    -> stale expired, cause @1
            record  dependency p 1                       -> @4 repeated stale expired
            record  dependency p 1 valid_until +10s      -> @5 repeated fresh, revived p@1
            wait    10s
            check   p                                    -> stale expired, cause @5
            record  dependency p 1 valid_until null      -> @7 repeated fresh, revived p@1
            wait    1d
            check   p                                    -> fresh
        """)

    async def test_amends_and_expects_are_ignored(self, page: Page) -> None:
        """Law 2: in a repetition `amends` and `expects` are ignored."""
        await page("""
            record  belief a 1                      -> @1 recorded fresh
            record  belief a 1 expects 7            -> @2 repeated fresh
            record  belief a 1 amends 7             -> @3 repeated fresh
        """)

    async def test_repetitions_of_a_batch_are_one_entry(self, page: Page) -> None:
        """Law 2: in one batch, repetitions that add nothing are one verification naming all their targets."""
        await page("""
            record  dependency p 1        -> @1 recorded fresh
            record  dependency q 1        -> @2 recorded fresh
            batch
                record dependency p 1     -> @4 repeated fresh
                record dependency r 1     -> @3 recorded fresh
                verify q 1                -> @4 verified fresh
                record dependency q 1     -> @4 repeated fresh
            entries                       -> @1 @2 @3 @4
        """)
        assert (await page.ledger.entry("@4")).targets == ("p@1", "q@1", "q@1")

    async def test_restating_starts_a_new_edition(self, page: Page) -> None:
        """Law 2: `restate` starts a new edition with the same content, and supersedes the old one."""
        await page("""
            record  dependency p 1              -> @1 recorded fresh
            record  belief b 1 because p        -> @2 recorded fresh
            record  dependency p 1 restate      -> @3 recorded fresh, fell p@1 b@1
            check   p@1                         -> stale superseded, cause @3, successor p@2
            record  dependency q 1 restate      -> @4 recorded fresh
        """)

    async def test_restating_what_is_revoked_or_superseded(self, page: Page) -> None:
        """Law 2: what is revoked is restated anew; what another key superseded too, and stays superseded."""
        await page("""
            record  dependency p 1                      -> @1 recorded fresh
            revoke  p                                   -> @2 revoked stale revoked, fell p@1
            record  dependency p 1 restate              -> @3 recorded fresh
            record  dependency q 1 supersedes p         -> @4 recorded fresh, fell p@2
            record  dependency p 1 restate              -> @5 recorded stale superseded
            check   p@1 p@3                     -> stale revoked, …; stale superseded, cause @4, successor q@1
        """)

    async def test_restating_does_not_amend(self, page: Page) -> None:
        """Law 2: `restate` with `amends` is malformed; with `expects` it is held to it."""
        await page("""
            record  belief a 1                          -> @1 recorded fresh
            record  belief a 1 restate amends 1         -> refused malformed
            record  belief a 1 restate expects 2        -> refused not_current
            record  belief a 1 restate expects 1        -> @2 recorded fresh, fell a@1
        """)

    async def test_repeating_verifies(self, page: Page) -> None:
        """Law 2: a repetition verifies the edition again, and settles its divergence."""
        await page("""
            record  dependency p 1                      -> @1 recorded fresh
            record  belief b 1 because p                -> @2 recorded fresh
            verify  p 2                                 -> @3 diverged stale diverged, fell p@1 b@1
            record  dependency p 1                      -> @4 repeated fresh, revived p@1 b@1
        """)
