"""Laws 6 and 14-16: what stands, why something does not, resting on what is stale, and acts that lost their ground."""

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
            check      p@1 p@2      -> stale superseded, cause @3, successor y@1; stale superseded, cause @3, successor y@1
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
        """Law 14: the latest, over its justifications, of the earliest among their fallen premises' causes."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1                        -> @3 recorded fresh
            record     belief b 1 because p & q | r          -> @4 recorded fresh
            record     belief c 1 because b                  -> @5 recorded fresh
            revoke     r                                     -> @6 revoked stale revoked, fell r@1
            revoke     q                                     -> @7 revoked stale revoked, fell q@1 b@1 c@1
            revoke     p                                     -> @8 revoked stale revoked, fell p@1
            check      b c                                   -> stale unsupported, cause @7; stale unsupported, cause @7
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
        """Law 14: the entry that set `valid_until`, first observed another digest, or last moved `checked_at`."""
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
            record     dependency policy 200                         -> @4 recorded fresh, fell policy@1 limit@1 refund@1
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


class Acts:
    """Law 16."""

    async def test_grounds_that_fell_afterwards(self, page: Page) -> None:
        """Law 16: an act whose grounds were superseded, expired or revoked afterwards has lapsed; it was right when done."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1 valid_until +10s       -> @3 recorded fresh
            record     mutation a 1 because p                -> @4 recorded fresh
            record     mutation b 1 because q                -> @5 recorded fresh
            record     mutation c 1 because r                -> @6 recorded fresh
            wait       10s
            revoke     p                                     -> @8 revoked …
            record     dependency q 2                        -> @9 recorded …
            remediation                                      -> lapsed a@1 by @8; lapsed b@1 by @9; lapsed c@1 by @3
            check      a                                     -> stale unsupported, cause @8
        """)

    async def test_grounds_that_were_wrong(self, page: Page) -> None:
        """Law 16: an act needs remediation when something it rests on was wrong from birth or is quarantined."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            record     approval ok 1 because b               -> @3 recorded fresh
            record     mutation pay 1 because ok             -> @4 recorded fresh
            remediation                                      -> none
            wait       10s
            revoke     p wrong_from_birth                    -> @5 revoked …
            remediation                                      -> needs pay@1 by @5
            revoke     b quarantined                         -> @6 revoked …
            remediation                                      -> needs pay@1 by @5 @6
            reinstate  p                                     -> @7 reinstated fresh, revived p@1
            remediation                                      -> needs pay@1 by @6
            reinstate  b                                     -> @8 reinstated fresh, revived b@1 ok@1 pay@1
            remediation                                      -> none
        """)

    async def test_grounds_that_were_withdrawn_before(self, page: Page) -> None:
        """Law 16: so does one whose ground was withdrawn as of a moment before it was done."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     mutation a 1 because p                -> @3 recorded fresh
            wait       10s
            record     mutation b 1 because p                -> @4 recorded fresh
            wait       10s
            revoke     p effective_at -15s                   -> @5 revoked stale revoked, fell p@1 a@1 b@1
            remediation                                      -> needs b@1 by @5; lapsed a@1 by @5
            wait       10s
            record     mutation c 1 because p                -> @6 recorded stale unsupported
            remediation                                      -> needs b@1 by @5; needs c@1 by @5; lapsed a@1 by @5
        """)

    async def test_acts_are_judged_as_of_when_they_were_done(self, page: Page) -> None:
        """Law 16: the moment of an act is `occurred_at`, else `recorded_at`; so is that of a withdrawal."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            wait       1m
            revoke     p                                     -> @2 revoked stale revoked, fell p@1
            wait       1m
            record     mutation early 1 because p at -90s    -> @3 recorded stale unsupported
            record     mutation late 1 because p at -30s     -> @4 recorded stale unsupported
            remediation                                      -> needs late@1 by @2; lapsed early@1 by @2
            record     dependency q 1                        -> @5 recorded fresh
            record     mutation told 1 because q             -> @6 recorded fresh
            wait       10s
            revoke     q at -20s                             -> @7 revoked stale revoked, fell q@1 told@1
            remediation            -> needs late@1 by @2; needs told@1 by @7; lapsed early@1 by @2
        """)

    async def test_one_standing_justification_is_enough(self, page: Page) -> None:
        """Law 16: an act of which one justification stands needs nothing."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     mutation a 1 because p | q            -> @3 recorded fresh
            revoke     p wrong_from_birth                    -> @4 revoked stale wrong_from_birth, fell p@1
            remediation                                      -> none
            wait       10s
            record     dependency q 2                        -> @5 recorded fresh, fell q@1 a@1
            remediation                                      -> needs a@1 by @4
        """)

    async def test_only_mutations_are_repaired(self, page: Page) -> None:
        """Law 16: beliefs, decisions and grounds that fall need no remediation, nor does a mutation without grounds."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     decision d 1 because p                -> @2 recorded fresh
            record     mutation m 1                          -> @3 recorded fresh
            revoke     p wrong_from_birth                    -> @4 revoked …
            revoke     m wrong_from_birth                    -> @5 revoked …
            remediation                                      -> none
        """)

    async def test_support_that_was_wrong(self, page: Page) -> None:
        """Law 16: support withdrawn as wrong from birth is something the act rested on."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     mutation m 1 because p                -> @3 recorded fresh
            record     mutation m 1 because q                -> @4 justified fresh
            wait       10s
            record     dependency p 2                        -> @5 recorded fresh, fell p@1
            revoke     @4                                    -> @6 revoked stale unsupported, fell m@1
            remediation                                      -> lapsed m@1 by @6
            revoke     @4 wrong_from_birth                   -> @7 revoked stale unsupported
            remediation                                      -> needs m@1 by @7
        """)

    async def test_an_erased_ground(self, page: Page) -> None:
        """Law 16: an erasure is a withdrawal as of its moment: what was done before has lapsed."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     mutation m 1 because p                -> @2 recorded fresh
            wait       10s
            revoke     p erased                              -> @3 revoked stale erased, fell p@1 m@1
            remediation                                      -> lapsed m@1 by @3
            record     mutation n 1 because p                -> @4 recorded stale unsupported
            wait       10s
            record     mutation o 1 because p                -> @5 recorded stale unsupported
            remediation                      -> needs o@1 by @3; lapsed m@1 by @3; lapsed n@1 by @3
        """)
