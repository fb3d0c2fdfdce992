"""Laws 6 and 15: what stands, and resting on what does not."""

from __future__ import annotations

from ledger.testing.page import Page


class Validity:
    """Law 6."""

    async def test_all_premises_must_stand(self, page: Page) -> None:
        """Law 6: a justification stands if all its premises do."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency q 1                -> @2 recorded fresh
            record     belief b 1 because p & q      -> @3 recorded fresh
            revoke     q                             -> @4 revoked stale revoked, fell q@1 b@1
            revoke     p                             -> @5 revoked stale revoked, fell p@1
            reinstate  q                             -> @6 reinstated fresh, revived q@1
            reinstate  p                             -> @7 reinstated fresh, revived p@1 b@1
        """)

    async def test_any_justification_suffices(self, page: Page) -> None:
        """Law 6: an edition stands if any one of its justifications does."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency q 1                -> @2 recorded fresh
            record     belief b 1 because p | q      -> @3 recorded fresh
            revoke     p                             -> @4 revoked stale revoked, fell p@1
            revoke     q                             -> @5 revoked stale revoked, fell q@1 b@1
            reinstate  p                             -> @6 reinstated fresh, revived p@1 b@1
        """)

    async def test_a_ground_stands_by_itself(self, page: Page) -> None:
        """Law 6: what names no `because` is a ground; what it cites does not carry it."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 cites p            -> @2 recorded fresh
            revoke     p wrong_from_birth            -> @3 revoked stale wrong_from_birth, fell p@1
            check      b                             -> fresh
        """)

    async def test_it_goes_all_the_way(self, page: Page) -> None:
        """Law 6: what falls takes with it all that rests on it, along every path, and each once."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief a 1 because p          -> @2 recorded fresh
            record     belief b 1 because p          -> @3 recorded fresh
            record     belief c 1 because a & b      -> @4 recorded fresh
            record     decision d 1 because c | p    -> @5 recorded fresh
            revoke     p                             -> @6 revoked stale revoked, fell p@1 a@1 b@1 c@1 d@1
            reinstate  p                             -> @7 reinstated fresh, revived p@1 a@1 b@1 c@1 d@1
            revoke     b                             -> @8 revoked stale revoked, fell b@1 c@1
        """)

    async def test_circular_support_is_refused(self, page: Page) -> None:
        """Law 6: an added justification does not rest on what it supports; the refusal shows the path."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief a 1 because p          -> @2 recorded fresh
            record     belief b 1 because a          -> @3 recorded fresh
            record     belief c 1 because b & p      -> @4 recorded fresh
            record     belief a 1 because a          -> refused circular_support: …a@1…a@1
            record     belief a 1 because c          -> refused circular_support: …a@1…b@1…c@1…a@1
            check      a b c                         -> fresh; fresh; fresh
        """)

    async def test_withdrawn_support_counts_for_circles(self, page: Page) -> None:
        """Law 6: circles are judged by editions, withdrawn justifications included."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief a 1 because p          -> @2 recorded fresh
            record     belief b 1 because p          -> @3 recorded fresh
            record     belief b 1 because a          -> @4 justified fresh
            revoke     @4                            -> @5 revoked fresh
            record     belief a 1 because b          -> refused circular_support …
            record     belief b 2 amends 1           -> @6 amended fresh
            record     belief a 1 because b@2        -> refused circular_support …
        """)

    async def test_an_older_edition_is_another(self, page: Page) -> None:
        """Law 6: resting on another edition of the same key is no circle."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief a 1 because p          -> @2 recorded fresh
            record     belief b 1 because a          -> @3 recorded fresh
            record     belief a 2 because p          -> @4 recorded fresh, fell a@1 b@1
            record     belief a 2 because b          -> @5 justified fresh
        """)

    async def test_stale_is_stale_for_several_reasons(self, page: Page) -> None:
        """Law 6: an edition comes back only when nothing is left that stands against it."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 because p          -> @2 recorded fresh
            verify     b 2                           -> @3 diverged stale diverged, fell b@1
            revoke     p                             -> @4 revoked stale revoked, fell p@1
            verify     b 1                           -> @5 verified stale unsupported
            reinstate  p                             -> @6 reinstated fresh, revived p@1 b@1
        """)


class StaleGround:
    """Law 15."""

    async def test_resting_on_something_stale_is_allowed(self, page: Page) -> None:
        """Law 15: a fact is a fact; what rests on something stale is born stale."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            revoke     p                             -> @2 revoked stale revoked, fell p@1
            record     belief b 1 because p          -> @3 recorded stale unsupported
            check      b                             -> stale unsupported, cause @2
            reinstate  p                             -> @4 reinstated fresh, revived p@1 b@1
        """)

    async def test_require_fresh_refuses_it(self, page: Page) -> None:
        """Law 15: with `require_fresh` it is refused unless one of the justifications named stands."""
        await page("""
            record     dependency p 1                                -> @1 recorded fresh
            record     dependency q 1                                -> @2 recorded fresh
            revoke     p                                             -> @3 revoked stale revoked, fell p@1
            record     belief b 1 because p require_fresh            -> refused stale_premise
            record     belief b 1 because p & q require_fresh        -> refused stale_premise
            record     belief b 1 because p | q require_fresh        -> @4 recorded fresh
        """)

    async def test_require_fresh_asks_what_is_named(self, page: Page) -> None:
        """Law 15: it asks the justifications this command names, not those the edition has besides."""
        await page("""
            record     dependency p 1                                -> @1 recorded fresh
            record     dependency q 1                                -> @2 recorded fresh
            record     belief b 1 because p                          -> @3 recorded fresh
            revoke     q                                             -> @4 revoked stale revoked, fell q@1
            record     belief b 1 because q require_fresh            -> refused stale_premise
            record     belief b 1 because p require_fresh            -> @5 repeated fresh
            revoke     p                                             -> @6 revoked stale revoked, fell p@1 b@1
            record     belief b 1 because p require_fresh            -> refused stale_premise
            record     belief b 2 amends 1 because p require_fresh   -> refused stale_premise
        """)

    async def test_require_fresh_sees_time(self, page: Page) -> None:
        """Law 15: what has expired by now does not stand."""
        await page("""
            record     dependency p 1 valid_until +10s               -> @1 recorded fresh
            record     belief b 1 because p require_fresh            -> @2 recorded fresh
            wait       10s
            record     belief c 1 because p require_fresh            -> refused stale_premise
        """)
