"""Laws 7 and 8: expiry, age and divergence."""

from __future__ import annotations

from ledger.testing.desk import Desk
from ledger.testing.page import Page


class Expiring:
    """Law 7."""

    async def test_it_expires_at_its_limit(self, page: Page) -> None:
        """Law 7: expired when the clock reaches `valid_until`, at every read, with all that rests on it."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            wait       9.999999s
            check      p b                                   -> fresh; fresh
            wait       0.000001s
            check      p b                             -> stale expired, cause @1; stale unsupported, cause @1
            entries                                          -> @1 @2
        """)

    async def test_it_is_written_to_the_log_once(self, page: Page) -> None:
        """Law 7: an expiry is also written to the log, once, so that watchers hear of it."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            wait       10s
            record     belief x 1                            -> @3 recorded fresh
            record     belief y 1                            -> @4 recorded fresh
            entries    expiry                                -> @2
            check      @2                                    -> stale expired, cause @1
            record     dependency p 1 valid_until +10s       -> @5 repeated fresh, revived p@1
            wait       10s
            record     belief z 1                            -> @7 recorded fresh
            entries    expiry                                -> @2 @6
        """)

    async def test_a_removed_limit_is_no_news(self, page: Page) -> None:
        """Law 7: what was prolonged in time does not expire, in the log neither."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     dependency p 1 valid_until +1h        -> @2 repeated fresh
            wait       10s
            check      p                                     -> fresh
            record     belief x 1                            -> @3 recorded fresh
        """)

    async def test_a_limit_in_the_past(self, page: Page) -> None:
        """Law 7: what is recorded after its limit is born expired."""
        await page("""
            record     dependency p 1 valid_until -1s        -> @1 recorded stale expired
            record     dependency q 1 valid_until +0s        -> @2 recorded stale expired
            record     belief b 1 because p                  -> @3 recorded stale unsupported
            check      b                                     -> stale unsupported, cause @1
        """)

    async def test_time_needs_a_zone(self, page: Page) -> None:
        """Law 7: a moment without zone is none."""
        await page("""
            record     dependency p 1 valid_until 2027-01-01T00:00:00              -> refused malformed
            record     dependency p 1 valid_until 2027-01-01T00:00:00+02:00        -> @1 recorded fresh
        """)

    async def test_it_expires_for_a_process_that_starts_later(self, page: Page, desk: Desk) -> None:
        """Law 7: no read depends on the log having noted it."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            wait       10s
        """)
        page = await desk.reopen(page)
        await page("""
            check      p b                             -> stale expired, cause @1; stale unsupported, cause @1
            record     belief x 1                            -> @4 recorded fresh
            entries    expiry                                -> @3
        """)

    async def test_two_processes_note_it_once(self, page: Page, desk: Desk) -> None:
        """Law 7: whoever writes next notes it; nobody notes it again."""
        other = await desk.open()
        await page("record dependency p 1 valid_until +10s            -> @1 recorded fresh")
        desk.clock.wait(10)
        await other("record belief x 1                                -> @3 recorded fresh")
        await page("record belief y 1                                 -> @4 recorded fresh")
        await page("entries expiry                                    -> @2")

    async def test_what_comes_after_is_not_blamed(self, page: Page) -> None:
        """Law 7: what fell by time is not counted to the next command."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            wait       10s
            revoke     p                                     -> @4 revoked stale revoked
        """)


class Ageing:
    """Law 8: age."""

    async def test_a_dependency_ages(self, page: Page) -> None:
        """Law 8: a dependency not verified recently enough counts as fallen, with what rests on it."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            record     decision d 1 because b                -> @3 recorded fresh
            wait       60s
            check      p b d max_age 61s                     -> fresh; fresh; fresh
            check      p max_age 59s                         -> stale unverified, cause @1
            check      b d max_age 59s             -> stale unsupported, cause @1; stale unsupported, cause @1
            check      p b d                                 -> fresh; fresh; fresh
        """)

    async def test_only_dependencies_age(self, page: Page) -> None:
        """Law 8: nothing but dependencies ages."""
        await page("""
            record     belief a 1                            -> @1 recorded fresh
            record     decision d 1 because a                -> @2 recorded fresh
            wait       1d
            check      a d max_age 1s                        -> fresh; fresh
        """)

    async def test_recording_repeating_and_verifying_make_young(self, page: Page) -> None:
        """Law 8: `checked_at` moves by recording, repeating, and a `verify` that matches."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            wait       60s
            record     dependency p 1                        -> @2 repeated fresh
            check      p max_age 30s                         -> fresh
            wait       60s
            check      p max_age 30s                         -> stale unverified, cause @2
            verify     p 1                                   -> @3 verified fresh
            check      p max_age 30s                         -> fresh
            wait       60s
            check      p max_age 30s                         -> stale unverified, cause @3
            record     dependency p 2 amends 1               -> @4 amended fresh
            check      p max_age 30s                         -> fresh
            wait       60s
            record     dependency p 3                        -> @5 recorded fresh, fell p@2
            check      p max_age 30s                         -> fresh
        """)

    async def test_reading_does_not_make_young(self, page: Page) -> None:
        """Law 8: a read or a failed look does not move `checked_at`."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            wait       60s
            check      p max_age 90s                         -> fresh
            content    p                                     -> 1
            verify     p 2                                   -> @2 diverged stale diverged, fell p@1
            wait       60s
            verify     p 1 at -90s                           -> @3 verified fresh, revived p@1
            check      p max_age 100s                        -> fresh
            check      p max_age 80s                         -> stale unverified, cause @3
        """)

    async def test_a_look_counts_as_of_when_it_was_made(self, page: Page) -> None:
        """Law 8: what was seen earlier is not younger than what was seen later, nor younger than now."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            wait       60s
            verify     p 1 at -20s                           -> @2 verified fresh
            verify     p 1 at -40s                           -> @3 verified fresh
            check      p max_age 30s                         -> fresh
            check      p max_age 10s                         -> stale unverified, cause @2
            verify     p 1 at +1h                            -> @4 verified fresh
            wait       60s
            check      p max_age 30s                         -> stale unverified, cause @4
        """)

    async def test_the_youngest_justification_counts(self, page: Page) -> None:
        """Law 8: under `max_age` too, any justification all of whose premises stand suffices."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1                        -> @3 recorded fresh
            record     belief b 1 because p & q | r          -> @4 recorded fresh
            wait       60s
            verify     p 1                                   -> @5 verified fresh
            check      b max_age 30s                         -> stale unsupported, cause @3
            verify     q 1                                   -> @6 verified fresh
            check      b max_age 30s                         -> fresh
            wait       60s
            verify     r 1                                   -> @7 verified fresh
            check      b max_age 30s                         -> fresh
            revoke     r                                     -> @8 revoked stale revoked, fell r@1
            check      b max_age 30s                         -> stale unsupported, cause @8
            check      b max_age 61s                         -> fresh
        """)

    async def test_dependencies_that_rest_on_dependencies(self, page: Page) -> None:
        """Law 8: a chunk is no younger than its document; unsupported goes before unverified."""
        await page("""
            record     dependency doc 1                      -> @1 recorded fresh
            record     dependency chunk 1 because doc        -> @2 recorded fresh
            wait       60s
            check      chunk max_age 30s                     -> stale unsupported, cause @1
            verify     chunk 1                               -> @3 verified fresh
            check      chunk max_age 30s                     -> stale unsupported, cause @1
            verify     doc 1                                 -> @4 verified fresh
            check      chunk max_age 30s                     -> fresh
            wait       60s
            verify     doc 1                                 -> @5 verified fresh
            check      chunk max_age 30s                     -> stale unverified, cause @3
        """)


class Diverging:
    """Law 8: divergence."""

    async def test_another_digest(self, page: Page) -> None:
        """Law 8: another digest makes the edition diverged, until a match."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            verify     p 2                                   -> @3 diverged stale diverged, fell p@1 b@1
            check      p b                            -> stale diverged, cause @3; stale unsupported, cause @3
            verify     p 1                                   -> @4 verified fresh, revived p@1 b@1
        """)

    async def test_settled_by_an_amendment_with_what_was_seen(self, page: Page) -> None:
        """Law 8: an amendment with the observed digest settles a divergence, another does not."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            verify     p 2                                   -> @2 diverged stale diverged, fell p@1
            record     dependency p 3 amends 1               -> @3 amended stale diverged
            record     dependency p 2 amends 2               -> @4 amended fresh, revived p@3
        """)

    async def test_a_new_edition_is_born_without_it(self, page: Page) -> None:
        """Law 8: a new edition is born without the divergence of the old one."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            verify     p 2                                   -> @2 diverged stale diverged, fell p@1
            record     dependency p 2                        -> @3 recorded fresh
            check      p@1                                   -> stale superseded, cause @3, successor p@2
        """)

    async def test_the_newest_version_is_compared(self, page: Page) -> None:
        """Law 8: a digest is held against the newest version of the edition, whichever version is named."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency p 2 amends 1               -> @2 amended fresh
            verify     p@1 2                                 -> @3 verified fresh amended
            verify     p@1 1                                 -> @4 diverged stale diverged, fell p@2
            verify     p 2                                   -> @5 verified fresh, revived p@2
        """)

    async def test_a_match_revives_nothing_that_is_withdrawn(self, page: Page) -> None:
        """Law 8: a match verifies and settles; what stands against the edition otherwise stays."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            verify     p 2                                   -> @2 diverged stale diverged, fell p@1
            revoke     p                                     -> @3 revoked stale revoked
            verify     p 1                                   -> @4 verified stale revoked
            reinstate  p                                     -> @5 reinstated fresh, revived p@1
        """)

    async def test_several_looks_at_once(self, page: Page) -> None:
        """Law 8: one `verify` may tell of several looks; it says diverged if one of them did not match."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1                        -> @3 recorded fresh
            verify     p 1 & q 2 & r 1                       -> @4 diverged fresh, fell q@1
            check      p q r                                 -> fresh; stale diverged, cause @4; fresh
            verify     nowhere 1                             -> refused not_found
            verify     p sha256:12                           -> refused malformed
        """)
