"""Law 3: repetition never revives, and the order of judgement."""

from __future__ import annotations

from ledger.testing.page import Page


class Withholding:
    """Law 3."""

    async def test_repeating_what_is_withdrawn(self, page: Page) -> None:
        """Law 3: repeating what is withdrawn changes nothing, and names what stands."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            revoke     p                           -> @2 revoked stale revoked, fell p@1
            record     dependency p 1              -> @3 withheld stale revoked, stands @2
            revoke     p quarantined               -> @4 revoked stale quarantined
            record     dependency p 1              -> @5 withheld stale quarantined, stands @2 @4
            entries    attempt                     -> @3 @5
            check      p                           -> stale quarantined, cause @4
        """)

    async def test_repeating_what_another_key_superseded(self, page: Page) -> None:
        """Law 3: repeating what another key superseded changes nothing, and names the supersession."""
        await page("""
            record     dependency old 1                      -> @1 recorded fresh
            record     dependency new 1 supersedes old       -> @2 recorded fresh, fell old@1
            record     dependency old 1                      -> @3 withheld stale superseded, stands @2
            revoke     old                                   -> @4 revoked stale revoked
            record     dependency old 1                      -> @5 withheld stale revoked, stands @2 @4
        """)

    async def test_repeating_with_new_grounds_does_not_revive_what_is_withdrawn(self, page: Page) -> None:
        """Law 3: nothing is added to what stands withdrawn, no support, no limit, no supersession."""
        await page("""
            record     dependency p 1                                  -> @1 recorded fresh
            record     dependency q 1                                  -> @2 recorded fresh
            record     belief b 1 because p                            -> @3 recorded fresh
            revoke     b                                               -> @4 revoked stale revoked, fell b@1
            record     belief b 1 because q valid_until +10s           -> @5 withheld stale revoked, stands @4
            reinstate  b                                               -> @6 reinstated fresh, revived b@1
            wait       10s
            check      b                                               -> fresh
            revoke     p                                             -> @7 revoked stale revoked, fell p@1 b@1
        """)

    async def test_what_was_wrong_from_birth_is_condemned(self, page: Page) -> None:
        """Law 3: content that was wrong from birth is never recorded again."""
        await page("""
            record     belief a 1                  -> @1 recorded fresh
            revoke     a wrong_from_birth          -> @2 revoked stale wrong_from_birth, fell a@1
            record     belief a 1                  -> @3 condemned stale wrong_from_birth, stands @2
            record     belief a 1 restate          -> @4 condemned stale wrong_from_birth, stands @2
            record     belief a 2                  -> @5 recorded fresh
            record     belief a 1                  -> @6 condemned stale wrong_from_birth, stands @2
            check      a                           -> fresh
        """)

    async def test_what_is_quarantined_or_erased_is_condemned(self, page: Page) -> None:
        """Law 3: quarantined and erased content is never recorded again; while current it is withheld."""
        await page("""
            record     belief a 1                  -> @1 recorded fresh
            revoke     a quarantined               -> @2 revoked stale quarantined, fell a@1
            record     belief a 1                  -> @3 withheld stale quarantined, stands @2
            record     belief a 1 restate          -> @4 condemned stale quarantined, stands @2
            record     belief a 2                  -> @5 recorded fresh
            record     belief a 1                  -> @6 condemned stale quarantined, stands @2
            revoke     a@2 erased                  -> @7 revoked stale erased, fell a@2
            record     belief a 2                  -> @8 withheld stale erased, stands @7
            record     belief a 3                  -> @9 recorded fresh
            record     belief a 2 restate          -> @10 condemned stale erased, stands @7
        """)

    async def test_what_is_current_may_be_said_though_it_was_condemned_before(self, page: Page) -> None:
        """Law 3: equal content goes first: what is current is repeated, though an older one was wrong."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency p 2              -> @2 recorded fresh, fell p@1
            record     dependency p 1              -> @3 recorded fresh, fell p@2
            revoke     p@1 wrong_from_birth        -> @4 revoked stale wrong_from_birth
            record     dependency p 1              -> @5 repeated fresh
            record     dependency p 1 restate      -> @6 condemned stale wrong_from_birth, stands @4
            check      p                           -> fresh
        """)

    async def test_every_version_of_a_condemned_edition_is_condemned(self, page: Page) -> None:
        """Law 3: an edition is condemned with all its versions, amended ones too; a reinstatement ends it."""
        await page("""
            record     belief a 1                  -> @1 recorded fresh
            record     belief a 2 amends 1         -> @2 amended fresh
            revoke     a wrong_from_birth          -> @3 revoked stale wrong_from_birth, fell a@2
            record     belief a 1                  -> @4 condemned stale wrong_from_birth, stands @3
            record     belief a 3                  -> @5 recorded fresh
            record     belief a 2                  -> @6 condemned stale wrong_from_birth, stands @3
            reinstate  a@1                         -> @7 reinstated stale superseded
            record     belief a 1                  -> @8 recorded fresh, fell a@3
        """)

    async def test_revoked_content_is_not_condemned(self, page: Page) -> None:
        """Law 3: content that was merely revoked may be recorded again as a new version."""
        await page("""
            record     belief a 1                  -> @1 recorded fresh
            revoke     a                           -> @2 revoked stale revoked, fell a@1
            record     belief a 2                  -> @3 recorded fresh
            record     belief a 1                  -> @4 recorded fresh, fell a@2
            revoke     a@2 quarantined             -> @5 revoked stale quarantined
            record     belief a 3                  -> @6 recorded fresh, fell a@3
            record     belief a 1                  -> @7 recorded fresh, fell a@4
        """)

    async def test_a_condemned_dependency_seen_again_contradicts_us(self, page: Page) -> None:
        """Law 3: condemned content of a dependency, seen while another is current, makes that diverged."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency p 2              -> @2 recorded fresh, fell p@1
            record     belief b 1 because p        -> @3 recorded fresh
            revoke     p@1 wrong_from_birth        -> @4 revoked stale wrong_from_birth
            record     dependency p 1          -> @5 condemned stale wrong_from_birth, stands @4, fell p@2 b@1
            check      p b                         -> stale diverged, cause @5; stale unsupported, cause @5
            record     dependency p 2              -> @6 repeated fresh, revived p@2 b@1
        """)

    async def test_a_condemned_text_of_the_current_edition_contradicts_us(self, page: Page) -> None:
        """Law 3: so does an older text of the current edition itself, when that is quarantined."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency p 2 amends 1     -> @2 amended fresh
            revoke     p quarantined               -> @3 revoked stale quarantined, fell p@2
            record     dependency p 1              -> @4 condemned stale quarantined, stands @3
            reinstate  p                           -> @5 reinstated stale diverged
            check      p                           -> stale diverged, cause @4
        """)

    async def test_only_dependencies_contradict(self, page: Page) -> None:
        """Law 3: a condemned belief seen again says nothing about the current one."""
        await page("""
            record     belief a 1                  -> @1 recorded fresh
            record     belief a 2                  -> @2 recorded fresh, fell a@1
            revoke     a@1 wrong_from_birth        -> @3 revoked stale wrong_from_birth
            record     belief a 1                  -> @4 condemned stale wrong_from_birth, stands @3
            check      a                           -> fresh
        """)

    async def test_attempts_of_a_batch_are_one_entry(self, page: Page) -> None:
        """Law 3: what was withheld and condemned leaves one attempt entry for all of a batch."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency q 1              -> @2 recorded fresh
            revoke     p                           -> @3 revoked …
            revoke     q wrong_from_birth          -> @4 revoked …
            batch
                record dependency p 1              -> @6 withheld stale revoked, stands @3
                record belief b 1                  -> @5 recorded fresh
                record dependency q 1              -> @6 condemned stale wrong_from_birth, stands @4
            entries    attempt                     -> @6
        """)
        assert (await page.ledger.entry("@6")).targets == ("p@1", "q@1")

    async def test_an_attempt_is_remembered(self, page: Page) -> None:
        """Law 3: an attempt is known, and its idempotency key remembered."""
        await page("""
            record     dependency p 1                         -> @1 recorded fresh
            revoke     p                                      -> @2 revoked stale revoked, fell p@1
            record     dependency p 1 idempotency_key k       -> @3 withheld stale revoked, stands @2
            record     dependency p 1 idempotency_key k      -> @3 withheld stale revoked, stands @2, replayed
            record     dependency p 2 idempotency_key k       -> refused idempotency_conflict
            entries    attempt                                -> @3
        """)

    async def test_form_before_references_before_kind(self, page: Page) -> None:
        """Law 3, order of judgement: form, references, kind, and then what the content says."""
        await page("""
            record     dependency p 1                              -> @1 recorded fresh
            record     dependency - 1 because nowhere              -> refused malformed
            record     belief p 1 because nowhere                  -> refused not_found
            record     belief p 1 cites nowhere                    -> refused not_found
            record     belief p 1 supersedes nowhere               -> refused not_found
            record     belief p 1                                  -> refused kind_conflict
            revoke     p wrong_from_birth                          -> @2 revoked …
            record     belief p 1                                  -> refused kind_conflict
            record     dependency p 1 because nowhere              -> refused not_found
        """)

    async def test_repeated_or_condemned_before_anything_else_is_asked(self, page: Page) -> None:
        """Law 3, order of judgement: equal content, then condemned, and only then all the rest."""
        await page("""
            record     dependency p 1                              -> @1 recorded fresh
            record     dependency p 2                              -> @2 recorded fresh, fell p@1
            revoke     p@1 quarantined                             -> @3 revoked stale quarantined
            record     dependency q 1                              -> @4 recorded fresh
            revoke     q                                           -> @5 revoked stale revoked, fell q@1
            record     dependency p 1 amends 7          -> @6 condemned stale quarantined, stands @3, fell p@2
            record     dependency p 1 expects 7                   -> @7 condemned stale quarantined, stands @3
            record     dependency p 1 supersedes p                -> @8 condemned stale quarantined, stands @3
            record     dependency p 1 because q require_fresh     -> @9 condemned stale quarantined, stands @3
            record     dependency q 1 because p require_fresh      -> @10 withheld stale revoked, stands @5
        """)

    async def test_then_amends_expects_supersedes_and_support(self, page: Page) -> None:
        """Law 3, order of judgement: of a new version `amends`, `expects`, `supersedes`, and support last."""
        await page("""
            record     dependency p 1                              -> @1 recorded fresh
            record     dependency q 1 supersedes p                 -> @2 recorded fresh, fell p@1
            record     dependency p 2 amends 7 supersedes q        -> refused not_current
            record     dependency p 2 expects 7 supersedes q       -> refused not_current
            record     dependency p 2 amends 1 because q supersedes q     -> refused amendment_changes_support
            record     dependency p 2 because p require_fresh supersedes q  -> refused circular_supersession
            record     dependency q 2 because p require_fresh               -> refused stale_premise
        """)

    async def test_supersessions_are_judged_before_support_in_a_repetition_too(self, page: Page) -> None:
        """Law 3, order of judgement: what a repetition adds is judged in the same order."""
        await page("""
            record     dependency g 1                              -> @1 recorded fresh
            record     belief a 1 because g                        -> @2 recorded fresh
            record     belief b 1 because a supersedes a           -> refused self_defeating
            record     belief b 1 because a                        -> @3 recorded fresh
            record     belief c 1 supersedes a                     -> @4 recorded fresh, fell a@1 b@1
            revoke     c wrong_from_birth      -> @5 revoked stale wrong_from_birth, fell c@1, revived a@1 b@1
            record     belief a 1 because b supersedes c           -> refused circular_supersession
            record     belief a 1 because b                        -> refused circular_support
        """)
