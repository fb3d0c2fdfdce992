"""Law 14: why something is stale, since when, and what to use instead."""

from __future__ import annotations

from ledger.testing.page import Page


class Causes:
    """Law 14."""

    async def test_the_order_of_reasons(self, page: Page) -> None:
        """Law 14: of several reasons the first is told, in the order of the contract."""
        await page("""
            record  dependency q 1                               -> @1 recorded fresh
            record  dependency p 1 because q valid_until +10s    -> @2 recorded fresh
            wait    5s
            verify  q 1                                          -> @3 verified fresh
            check   p max_age 1s                                 -> stale unverified, cause @2
            revoke  q                                            -> @4 revoked stale revoked, fell q@1 p@1
            check   p max_age 1s                                 -> stale unsupported, cause @4
            verify  p 9                                          -> @5 diverged stale diverged
            wait    5s
            check   p                                            -> stale expired, cause @2
            record  dependency p 2                               -> @7 recorded fresh
            check   p@1                                          -> stale superseded, cause @7, successor p@2
            revoke  p@1                                          -> @8 revoked stale revoked
            revoke  p@1 quarantined                              -> @9 revoked stale quarantined
            revoke  p@1 wrong_from_birth                         -> @10 revoked stale wrong_from_birth
            revoke  p@1 erased                                   -> @11 revoked stale erased
            check   p@1                                          -> stale erased, cause @11, successor p@2
        """)

    async def test_the_earliest_standing_withdrawal(self, page: Page) -> None:
        """Law 14: the cause is the earliest standing event of the reason told."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            revoke     p                             -> @2 revoked stale revoked, fell p@1
            revoke     p                             -> @3 revoked stale revoked
            revoke     p quarantined                 -> @4 revoked stale quarantined
            check      p                             -> stale quarantined, cause @4
            reinstate  p lifts @4                    -> @5 reinstated stale revoked
            check      p                             -> stale revoked, cause @2
            reinstate  p lifts @2                    -> @6 reinstated stale revoked
            check      p                             -> stale revoked, cause @3
        """)

    async def test_the_earliest_standing_supersession(self, page: Page) -> None:
        """Law 14: the cause of a superseded edition is the earliest entry that supersedes it and counts."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency x 1 supersedes p           -> @2 recorded fresh, fell p@1
            record     dependency y 1 supersedes p           -> @3 recorded fresh
            record     dependency p 2                        -> @4 recorded stale superseded
            check      p@1                                   -> stale superseded, cause @2, successor y@1
            revoke     x wrong_from_birth                    -> @5 revoked …
            check      p@1                                   -> stale superseded, cause @3, successor y@1
            check      p@2                                   -> stale superseded, cause @3, successor y@1
            reinstate  p lifts @3                            -> @6 reinstated fresh, revived p@2
            check      p@1                                   -> stale superseded, cause @4, successor p@2
        """)

    async def test_the_edition_that_supersedes_within_a_key(self, page: Page) -> None:
        """Law 14: within a key it is the first later edition that is not wrong from birth."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency p 2                        -> @2 recorded fresh, fell p@1
            record     dependency p 3 amends 2               -> @3 amended fresh
            record     dependency p 4                        -> @4 recorded fresh, fell p@3
            check      p@1                                   -> stale superseded, cause @2, successor p@4
            revoke     p@2 wrong_from_birth                  -> @5 revoked stale wrong_from_birth
            check      p@1                                   -> stale superseded, cause @4, successor p@4
        """)

    async def test_of_an_unsupported_edition(self, page: Page) -> None:
        """Law 14: the latest, over its justifications, of the earliest cause among their fallen premises."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1                        -> @3 recorded fresh
            record     belief b 1 because p & q | r          -> @4 recorded fresh
            record     belief c 1 because b                  -> @5 recorded fresh
            revoke     r                                     -> @6 revoked stale revoked, fell r@1
            revoke     q                                     -> @7 revoked stale revoked, fell q@1 b@1 c@1
            revoke     p                                     -> @8 revoked stale revoked, fell p@1
            check      b c                         -> stale unsupported, cause @7; stale unsupported, cause @7
            reinstate  q                                     -> @9 reinstated fresh, revived q@1
            check      c                                     -> stale unsupported, cause @8
        """)

    async def test_of_withdrawn_support(self, page: Page) -> None:
        """Law 14: of a withdrawn justification the cause is its withdrawal, whatever else fell."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     belief b 1 because p                  -> @3 recorded fresh
            record     belief b 1 because q                  -> @4 justified fresh
            revoke     p                                     -> @5 revoked stale revoked, fell p@1
            revoke     q                                     -> @6 revoked stale revoked, fell q@1 b@1
            check      b                                     -> stale unsupported, cause @6
            revoke     @4                                    -> @7 revoked stale unsupported
            check      b                                     -> stale unsupported, cause @7
        """)

    async def test_of_what_expired_diverged_or_aged(self, page: Page) -> None:
        """Law 14: the entry that set `valid_until`, first saw another digest, or last moved `checked_at`."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     dependency p 1 valid_until +20s       -> @2 repeated fresh
            record     dependency q 1                        -> @3 recorded fresh
            verify     q 1                                   -> @4 verified fresh
            wait       10s
            check      q max_age 5s                          -> stale unverified, cause @4
            verify     q 2                                   -> @5 diverged stale diverged, fell q@1
            verify     q 3                                   -> @6 diverged stale diverged
            check      q                                     -> stale diverged, cause @5
            wait       10s
            check      p                                     -> stale expired, cause @2
        """)

    async def test_the_successor_goes_step_by_step(self, page: Page) -> None:
        """Law 14: from edition to edition, another key's before its own, to the end."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency p 2                        -> @2 recorded fresh, fell p@1
            record     dependency x 1 supersedes p           -> @3 recorded fresh, fell p@2
            record     dependency x 2                        -> @4 recorded fresh, fell x@1
            record     dependency x 3 amends 2               -> @5 amended fresh
            check      p@1                                   -> stale superseded, cause @2, successor x@3
            record     dependency y 1 supersedes x           -> @6 recorded fresh, fell x@3
            check      p@1                                   -> stale superseded, cause @2, successor y@1
        """)

    async def test_the_successor_must_be_fresh(self, page: Page) -> None:
        """Law 14: a successor is given only if it is fresh, at the clock and age asked for."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency p 2 valid_until +10s       -> @2 recorded fresh, fell p@1
            check      p@1                                   -> stale superseded, cause @2, successor p@2
            wait       5s
            check      p@1 max_age 1s                        -> stale superseded, cause @2
            wait       5s
            check      p@1                                   -> stale superseded, cause @2
        """)

    async def test_the_latest_of_several_successors(self, page: Page) -> None:
        """Law 14: of several keys that supersede it, the latest that counts."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency x 1 supersedes p           -> @2 recorded fresh, fell p@1
            record     dependency y 1 supersedes p           -> @3 recorded fresh
            check      p                                     -> stale superseded, cause @2, successor y@1
            revoke     y                                     -> @4 revoked stale revoked, fell y@1
            check      p                                     -> stale superseded, cause @2
            revoke     y wrong_from_birth                    -> @5 revoked stale wrong_from_birth
            check      p                                     -> stale superseded, cause @2, successor x@1
        """)

    async def test_why_shows_the_path(self, page: Page) -> None:
        """Law 14: `why` adds the path from the root cause to the entry."""
        await page("""
            record     dependency policy 500                         -> @1 recorded fresh
            record     belief limit 500 because policy               -> @2 recorded fresh
            record     approval refund 500 because limit             -> @3 recorded fresh
            why        refund                                        -> nothing
            record     dependency policy 200              -> @4 recorded fresh, fell policy@1 limit@1 refund@1
            why        refund   -> policy@2 > policy@1 superseded > limit@1 unsupported > refund@1 unsupported
            revoke     policy@1 reason "never valid"                 -> @5 revoked stale revoked
            why        refund   -> @5 > policy@1 revoked > limit@1 unsupported > refund@1 unsupported
        """)

    async def test_why_of_withdrawn_support(self, page: Page) -> None:
        """Law 14: the path leads through the support that was withdrawn."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     belief b 1 because p                  -> @3 recorded fresh
            record     belief b 1 because q                  -> @4 justified fresh
            revoke     p                                     -> @5 revoked stale revoked, fell p@1
            revoke     @4                                    -> @6 revoked stale unsupported, fell b@1
            why        b                                     -> @6 > @4 revoked > b@1 unsupported
        """)
