"""Law 4: superseding, within a key and between keys."""

from __future__ import annotations

from ledger.testing.page import Page


class Superseding:
    """Law 4."""

    async def test_every_edition_of_a_superseded_key(self, page: Page) -> None:
        """Law 4: from a supersession on, every edition of the key, later ones too, is superseded."""
        await page("""
            record  dependency old 1                     -> @1 recorded fresh
            record  belief b 1 because old               -> @2 recorded fresh
            record  dependency new 1 supersedes old      -> @3 recorded fresh, fell old@1 b@1
            record  dependency old 2                     -> @4 recorded stale superseded
            check   old                                  -> stale superseded, cause @3, successor new@1
            check   b                                    -> stale unsupported, cause @3
        """)

    async def test_one_may_supersede_several(self, page: Page) -> None:
        """Law 4: several keys may be superseded at once, also by what has no key."""
        await page("""
            record  belief a 1                           -> @1 recorded fresh
            record  belief b 1                           -> @2 recorded fresh
            record  belief - 1 supersedes a b            -> @3 recorded fresh, fell a@1 b@1
            check   a b  -> stale superseded, cause @3, successor @3; stale superseded, cause @3, successor @3
        """)

    async def test_only_other_existing_keys(self, page: Page) -> None:
        """Law 4: what is superseded are other keys that exist."""
        await page("""
            record  belief a 1                           -> @1 recorded fresh
            record  belief - 1                           -> @2 recorded fresh
            record  belief b 1 supersedes nowhere        -> refused not_found
            record  belief b 1 supersedes @2             -> refused malformed
            record  belief a 2 supersedes a              -> refused circular_supersession
            record  belief b 1 supersedes b              -> refused not_found
            record  belief b 1 supersedes @1             -> @3 recorded fresh, fell a@1
        """)

    async def test_circles_are_refused(self, page: Page) -> None:
        """Law 4: keys do not supersede each other in a circle, directly or through others."""
        await page("""
            record  belief a 1                           -> @1 recorded fresh
            record  belief b 1 supersedes a              -> @2 recorded fresh, fell a@1
            record  belief a 2 supersedes b              -> refused circular_supersession
            record  belief c 1 supersedes b              -> @3 recorded fresh, fell b@1
            record  belief a 2 supersedes c              -> refused circular_supersession
            record  belief a 2 amends 1 supersedes c     -> refused circular_supersession
            record  belief c 1 supersedes a              -> @4 justified fresh
        """)

    async def test_circles_of_what_does_not_count_now(self, page: Page) -> None:
        """Law 4: circles are judged over all supersessions not lifted, those wrong from birth among them."""
        await page("""
            record     belief a 1                        -> @1 recorded fresh
            record     belief b 1 supersedes a           -> @2 recorded fresh, fell a@1
            revoke     b wrong_from_birth          -> @3 revoked stale wrong_from_birth, fell b@1, revived a@1
            record     belief a 2 supersedes b           -> refused circular_supersession
            reinstate  b                                 -> @4 reinstated fresh, fell a@1, revived b@1
            reinstate  a lifts @2                        -> @5 reinstated fresh, revived a@1
            record     belief a 2 supersedes b           -> @6 recorded fresh, fell a@1 b@1
            record     belief b 2 supersedes a           -> refused circular_supersession
        """)

    async def test_a_new_version_does_not_rest_on_the_old_one(self, page: Page) -> None:
        """Law 4: what would fell its own last support is refused; a new version cites the old one."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            record  dependency q 1                       -> @2 recorded fresh
            record  dependency p 2 because p             -> refused self_defeating
            record  dependency p 2 because p & q         -> refused self_defeating
            record  dependency p 2 cites p               -> @3 recorded fresh, fell p@1
            record  dependency p 3 because p | q         -> @4 recorded fresh, fell p@2
        """)

    async def test_nor_on_what_falls_with_the_old_one(self, page: Page) -> None:
        """Law 4: self-defeat is seen through whatever lies between."""
        await page("""
            record  dependency p 1                                   -> @1 recorded fresh
            record  belief b 1 because p                             -> @2 recorded fresh
            record  decision d 1 because b                           -> @3 recorded fresh
            record  dependency p 2 because d                         -> refused self_defeating
            record  decision e 1 because d supersedes p              -> refused self_defeating
            record  decision e 1 because d                           -> @4 recorded fresh
            record  decision e 2 amends 1 supersedes p               -> refused self_defeating
            record  decision e 1 supersedes p                        -> refused self_defeating
            check   p b d e                                          -> fresh; fresh; fresh; fresh
        """)

    async def test_what_did_not_stand_cannot_defeat_itself(self, page: Page) -> None:
        """Law 4: only what had a standing justification can lose the last one."""
        await page("""
            record  dependency p 1                       -> @1 recorded fresh
            revoke  p                                    -> @2 revoked stale revoked, fell p@1
            record  dependency p 2 because p@1           -> @3 recorded stale unsupported
        """)

    async def test_an_added_justification_saves_from_self_defeat(self, page: Page) -> None:
        """Law 4: what a repetition adds is counted before it is judged self-defeating."""
        await page("""
            record  dependency p 1                                   -> @1 recorded fresh
            record  dependency q 1                                   -> @2 recorded fresh
            record  belief b 1 because p                             -> @3 recorded fresh
            record  belief b 1 supersedes p                          -> refused self_defeating
            record  belief b 1 because q supersedes p                -> @4 justified fresh, fell p@1
        """)

    async def test_a_support_that_the_supersession_fells_saves_nothing(self, page: Page) -> None:
        """Law 4: support added together with a supersession must outlive it."""
        await page("""
            record  dependency p 1                                   -> @1 recorded fresh
            record  dependency q 1                                   -> @2 recorded fresh
            record  belief b 1 because q                             -> @3 recorded fresh
            revoke  q                                                -> @4 revoked stale revoked, fell q@1 b@1
            record  belief b 1 because p supersedes p                -> refused self_defeating
            check   b p                                              -> stale unsupported, cause @4; fresh
        """)

    async def test_wrong_from_birth_within_a_key_brings_back_what_it_superseded(self, page: Page) -> None:
        """Law 4: an edition wrong from birth supersedes nothing in its key; the answer lists what revived."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 because p          -> @2 recorded fresh
            record     dependency p 2                -> @3 recorded fresh, fell p@1 b@1
            revoke     p wrong_from_birth      -> @4 revoked stale wrong_from_birth, fell p@2, revived p@1 b@1
            names      p                             -> p@1
            check      p b p@2                       -> fresh; fresh; stale wrong_from_birth, cause @4
            reinstate  p@2                           -> @5 reinstated fresh, fell p@1 b@1, revived p@2
            names      p                             -> p@2
        """)

    async def test_wrong_from_birth_between_keys_brings_back_what_it_superseded(self, page: Page) -> None:
        """Law 4: nor does it supersede other keys."""
        await page("""
            record     dependency old 1                        -> @1 recorded fresh
            record     belief b 1 because old                  -> @2 recorded fresh
            record     dependency new 1 supersedes old         -> @3 recorded fresh, fell old@1 b@1
            revoke new wrong_from_birth -> @4 revoked stale wrong_from_birth, fell new@1, revived old@1 b@1
            record     dependency old 1                        -> @5 repeated fresh
            reinstate  new             -> @6 reinstated fresh, fell old@1 b@1, revived new@1
        """)

    async def test_every_other_withdrawal_leaves_the_supersession(self, page: Page) -> None:
        """Law 4: a supersession stays when its edition is revoked, quarantined, erased or superseded."""
        await page("""
            record     dependency old 1                        -> @1 recorded fresh
            record     dependency new 1 supersedes old         -> @2 recorded fresh, fell old@1
            record     dependency new 2                        -> @3 recorded fresh, fell new@1
            check      old                                     -> stale superseded, cause @2, successor new@2
            revoke     new@1                                   -> @4 revoked stale revoked
            revoke     new@1 quarantined                       -> @5 revoked stale quarantined
            revoke     new@1 erased                            -> @6 revoked stale erased
            check      old                                     -> stale superseded, cause @2, successor new@2
            revoke     new                                     -> @7 revoked stale revoked, fell new@2
            check      old                                     -> stale superseded, cause @2
        """)

    async def test_the_current_version_is_of_the_latest_born_edition(self, page: Page) -> None:
        """Law 4: current is the newest version of the latest-born edition that is not wrong from birth."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency p 2                -> @2 recorded fresh, fell p@1
            revoke     p                             -> @3 revoked stale revoked, fell p@2
            check      p                             -> stale revoked, cause @3
            revoke     p wrong_from_birth            -> @4 revoked stale wrong_from_birth, revived p@1
            record     dependency p 3 amends 1       -> @5 amended fresh
            names      p                             -> p@3
            reinstate  p@2 lifts @4                  -> @6 reinstated stale revoked, fell p@3
            names      p                             -> p@2
        """)

    async def test_where_all_are_wrong_from_birth(self, page: Page) -> None:
        """Law 4: if all are wrong from birth none is current, and the bare key means the newest version."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency p 2                -> @2 recorded fresh, fell p@1
            revoke     p@2 wrong_from_birth        -> @3 revoked stale wrong_from_birth, fell p@2, revived p@1
            revoke     p@1 wrong_from_birth          -> @4 revoked stale wrong_from_birth, fell p@1
            names      p                             -> p@2
            check      p                             -> stale wrong_from_birth, cause @3
            record     dependency p 3 amends 2       -> refused not_current
            record     dependency p 3                -> @5 recorded fresh
        """)

    async def test_coming_back_may_not_defeat_itself(self, page: Page) -> None:
        """Law 4: a reinstatement that would fell the last support of what it brings back is refused."""
        await page("""
            record     dependency old 1                              -> @1 recorded fresh
            record     dependency q 1                                -> @2 recorded fresh
            record     belief mid 1 because q                        -> @3 recorded fresh
            record     belief new 1 because mid supersedes old       -> @4 recorded fresh, fell old@1
            revoke     new wrong_from_birth    -> @5 revoked stale wrong_from_birth, fell new@1, revived old@1
            record     belief mid 1 because old                      -> @6 justified fresh
            revoke     q                                             -> @7 revoked stale revoked, fell q@1
            reinstate  new                                           -> refused self_defeating
            reinstate  q                                             -> @8 reinstated fresh, revived q@1
            reinstate  new                                   -> @9 reinstated fresh, fell old@1, revived new@1
        """)

    async def test_coming_back_within_a_key_may_not_defeat_itself(self, page: Page) -> None:
        """Law 4: the same between editions of one key."""
        await page("""
            record     dependency q 1                                -> @1 recorded fresh
            record     belief mid 1 because q                        -> @2 recorded fresh
            record     belief a 1                                    -> @3 recorded fresh
            record     belief a 2 because mid                        -> @4 recorded fresh, fell a@1
            revoke     a wrong_from_birth          -> @5 revoked stale wrong_from_birth, fell a@2, revived a@1
            record     belief mid 1 because a@1                      -> @6 justified fresh
            revoke     q                                             -> @7 revoked stale revoked, fell q@1
            reinstate  a@2                                           -> refused self_defeating
            check      a mid                                         -> fresh; fresh
        """)
