"""Law 16: acts that lost their ground."""

from __future__ import annotations

from ledger.testing.page import Page


class Acts:
    """Law 16."""

    async def test_grounds_that_fell_afterwards(self, page: Page) -> None:
        """Law 16: an act whose grounds were superseded, expired or revoked afterwards has lapsed."""
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
            remediation                                -> lapsed a@1 by @8; lapsed b@1 by @9; lapsed c@1 by @3
            check      a                                     -> stale unsupported, cause @8
        """)

    async def test_grounds_that_were_wrong(self, page: Page) -> None:
        """Law 16: an act needs remediation when a ground was wrong from birth or is quarantined."""
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
            remediation                                  -> needs b@1 by @5; needs c@1 by @5; lapsed a@1 by @5
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
        """Law 16: what is no mutation needs no remediation, nor does a mutation without grounds."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     decision d 1 because p                -> @2 recorded fresh
            record     mutation m 1                          -> @3 recorded fresh
            revoke     p wrong_from_birth                    -> @4 revoked …
            revoke     m wrong_from_birth                    -> @5 revoked …
            remediation                                      -> none
        """)

    async def test_what_became_of_the_act_itself(self, page: Page) -> None:
        """Law 16: an act whose grounds stand needs nothing, though it was revoked or superseded itself."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     mutation m 1 because p                -> @2 recorded fresh
            record     mutation n 1 because p                -> @3 recorded fresh
            record     mutation m 2 because p                -> @4 recorded fresh, fell m@1
            revoke     n wrong_from_birth                    -> @5 revoked stale wrong_from_birth, fell n@1
            remediation                                      -> none
            revoke     p quarantined                         -> @6 revoked stale quarantined, fell p@1 m@2
            remediation                                      -> needs m@1 by @6; needs n@1 by @6; needs m@2 by @6
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
