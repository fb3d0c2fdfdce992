"""Law 5: withdrawing and lifting, and erasure of content."""

from __future__ import annotations

from ledger.model.canonical import digest_of
from ledger.testing.desk import Desk
from ledger.testing.page import Page


class Withdrawing:
    """Law 5."""

    async def test_the_modes(self, page: Page) -> None:
        """Law 5: an edition is revoked, wrong from birth, quarantined or erased, as it was said."""
        await page("""
            record  belief a 1                       -> @1 recorded fresh
            record  belief b 1                       -> @2 recorded fresh
            record  belief c 1                       -> @3 recorded fresh
            record  belief d 1                       -> @4 recorded fresh
            revoke  a reason "no longer so"          -> @5 revoked stale revoked, fell a@1
            revoke  b wrong_from_birth               -> @6 revoked stale wrong_from_birth, fell b@1
            revoke  c quarantined                    -> @7 revoked stale quarantined, fell c@1
            revoke  d erased                         -> @8 revoked stale erased, fell d@1
            revoke  d forgotten                      -> refused malformed
            revoke  nowhere                          -> refused not_found
        """)
        assert (await page.ledger.entry("@5")).reason == "no longer so"

    async def test_wrong_from_birth_is_never_derived(self, page: Page) -> None:
        """Law 5: what rests on something wrong from birth is unsupported, not wrong itself."""
        await page("""
            record  belief a 1                       -> @1 recorded fresh
            record  belief b 1 because a             -> @2 recorded fresh
            revoke  a wrong_from_birth               -> @3 revoked stale wrong_from_birth, fell a@1 b@1
            check   b                                -> stale unsupported, cause @3
        """)

    async def test_it_acts_on_the_edition_of_the_version_named(self, page: Page) -> None:
        """Law 5: the whole edition is withdrawn, and no other."""
        await page("""
            record  dependency p 1                   -> @1 recorded fresh
            record  dependency p 2                   -> @2 recorded fresh, fell p@1
            record  dependency p 3 amends 2          -> @3 amended fresh
            revoke  p@1                              -> @4 revoked stale revoked
            check   p                                -> fresh
            revoke  @2                               -> @5 revoked stale revoked, fell p@3
            check   p                                -> stale revoked, cause @5
        """)

    async def test_effective_at_is_not_after_now(self, page: Page) -> None:
        """Law 5: `effective_at` goes with `revoked` alone, and is not after now."""
        await page("""
            record  belief a 1                                   -> @1 recorded fresh
            wait    10s
            revoke  a effective_at +1s                           -> refused malformed
            revoke  a wrong_from_birth effective_at -5s          -> refused malformed
            revoke  a effective_at -5s                           -> @2 revoked stale revoked, fell a@1
            revoke  a effective_at +0s                           -> @3 revoked stale revoked
        """)

    async def test_withdrawals_accumulate(self, page: Page) -> None:
        """Law 5: each withdrawal stands on its own, until it is lifted itself."""
        await page("""
            record     belief a 1                    -> @1 recorded fresh
            revoke     a                             -> @2 revoked stale revoked, fell a@1
            revoke     a quarantined                 -> @3 revoked stale quarantined
            revoke     a                             -> @4 revoked stale quarantined
            reinstate  a                             -> refused several_withdrawals, standing @2 @3 @4
            reinstate  a lifts @3                    -> @5 reinstated stale revoked
            reinstate  a lifts @2                    -> @6 reinstated stale revoked
            reinstate  a                             -> @7 reinstated fresh, revived a@1
        """)

    async def test_several_are_lifted_at_once(self, page: Page) -> None:
        """Law 5: a reinstatement may lift all it names."""
        await page("""
            record     belief a 1                    -> @1 recorded fresh
            record     belief b 1 because a          -> @2 recorded fresh
            revoke     a                             -> @3 revoked stale revoked, fell a@1 b@1
            revoke     a wrong_from_birth            -> @4 revoked stale wrong_from_birth
            reinstate  a lifts @4 @3                 -> @5 reinstated fresh, revived a@1 b@1
        """)

    async def test_lifting_by_idempotency_key(self, page: Page) -> None:
        """Law 5: a withdrawal is named by its entry or by the idempotency key of the command that made it."""
        await page("""
            record     belief a 1 idempotency_key made           -> @1 recorded fresh
            revoke     a idempotency_key alarm                   -> @2 revoked stale revoked, fell a@1
            revoke     a                                         -> @3 revoked stale revoked
            reinstate  a lifts unknown                           -> refused not_found
            reinstate  a lifts made                              -> refused not_standing
            reinstate  a lifts alarm @3                          -> @4 reinstated fresh, revived a@1
            record     belief new 1 supersedes a idempotency_key taken   -> @5 recorded fresh, fell a@1
            reinstate  a lifts taken                             -> @6 reinstated fresh, revived a@1
        """)

    async def test_only_what_stands_there_is_lifted(self, page: Page) -> None:
        """Law 5: each withdrawal named must stand on the target's edition."""
        await page("""
            record     belief a 1                    -> @1 recorded fresh
            record     belief b 1                    -> @2 recorded fresh
            revoke     a                             -> @3 revoked stale revoked, fell a@1
            revoke     b                             -> @4 revoked stale revoked, fell b@1
            reinstate  a lifts @4                    -> refused not_standing
            reinstate  a lifts @3 @4                 -> refused not_standing
            reinstate  a lifts @3                    -> @5 reinstated fresh, revived a@1
            reinstate  a lifts @3                    -> refused not_standing
            reinstate  b lifts @77                   -> refused not_standing
        """)

    async def test_nothing_to_lift(self, page: Page) -> None:
        """Law 5: where no withdrawal stands there is nothing to lift."""
        await page("""
            record     belief a 1                    -> @1 recorded fresh
            reinstate  a                             -> refused nothing_to_lift
            revoke     a                             -> @2 revoked stale revoked, fell a@1
            record     belief a 2                    -> @3 recorded fresh
            reinstate  a                             -> refused nothing_to_lift
            reinstate  a@1                           -> @4 reinstated stale superseded
        """)

    async def test_a_supersession_is_lifted_only_when_named(self, page: Page) -> None:
        """Law 5: a supersession by another key is lifted only when named, and for the key named alone."""
        await page("""
            record     dependency a 1                            -> @1 recorded fresh
            record     dependency b 1                            -> @2 recorded fresh
            record     dependency new 1 supersedes a b           -> @3 recorded fresh, fell a@1 b@1
            reinstate  a                                         -> refused nothing_to_lift
            revoke     a                                         -> @4 revoked stale revoked
            reinstate  a                                         -> @5 reinstated stale superseded
            reinstate  a lifts @3                                -> @6 reinstated fresh, revived a@1
            check      b                                        -> stale superseded, cause @3, successor new@1
            record     dependency a 2                            -> @7 recorded fresh, fell a@1
            reinstate  a lifts @3                                -> refused not_standing
        """)

    async def test_an_added_supersession_is_lifted_by_its_entry(self, page: Page) -> None:
        """Law 5: a supersession is named by the entry that said so, which may be a repetition."""
        await page("""
            record     dependency a 1                            -> @1 recorded fresh
            record     dependency new 1                          -> @2 recorded fresh
            record     dependency new 1 supersedes a             -> @3 justified fresh, fell a@1
            reinstate  a lifts @2                                -> refused not_standing
            reinstate  a lifts @3                                -> @4 reinstated fresh, revived a@1
        """)

    async def test_a_new_version_is_not_lifted(self, page: Page) -> None:
        """Law 5: that a newer version superseded an older one is not lifted; withdraw the newer instead."""
        await page("""
            record     dependency p 1                            -> @1 recorded fresh
            record     dependency p 2                            -> @2 recorded fresh, fell p@1
            reinstate  p@1 lifts @2                              -> refused not_standing
            reinstate  p@1                                       -> refused nothing_to_lift
        """)

    async def test_reinstated_without_ground(self, page: Page) -> None:
        """Law 5: a reinstatement lifts what it names and nothing more."""
        await page("""
            record     dependency p 1                    -> @1 recorded fresh
            record     belief b 1 because p              -> @2 recorded fresh
            revoke     b                                 -> @3 revoked stale revoked, fell b@1
            revoke     p                                 -> @4 revoked stale revoked, fell p@1
            reinstate  b                                 -> @5 reinstated stale unsupported
            reinstate  p                                 -> @6 reinstated fresh, revived p@1 b@1
        """)

    async def test_an_event_stands_for_what_it_acts_on(self, page: Page) -> None:
        """Law 5: a target may be named by an event; to reinstate what entry 2 revoked, say so."""
        await page("""
            record     belief a 1                        -> @1 recorded fresh
            revoke     a                                 -> @2 revoked stale revoked, fell a@1
            reinstate  @2                                -> @3 reinstated fresh, revived a@1
        """)

    async def test_revoking_added_support(self, page: Page) -> None:
        """Law 5: revoking an added justification withdraws the support that entry added, alone."""
        await page("""
            record     dependency p 1                    -> @1 recorded fresh
            record     dependency q 1                    -> @2 recorded fresh
            record     dependency r 1                    -> @3 recorded fresh
            record     belief b 1 because p              -> @4 recorded fresh
            record     belief b 1 because q | r          -> @5 justified fresh
            revoke     p                                 -> @6 revoked stale revoked, fell p@1
            revoke     @5                                -> @7 revoked stale unsupported, fell b@1
            check      b q r                             -> stale unsupported, cause @7; fresh; fresh
            reinstate  @5                                -> @8 reinstated fresh, revived b@1
        """)

    async def test_withdrawn_support_counts_for_nothing(self, page: Page) -> None:
        """Law 5: whether the premises of withdrawn support fall or come back makes no difference."""
        await page("""
            record     dependency p 1                    -> @1 recorded fresh
            record     dependency q 1                    -> @2 recorded fresh
            record     belief b 1 because p              -> @3 recorded fresh
            record     belief b 1 because q              -> @4 justified fresh
            revoke     @4                                -> @5 revoked fresh
            revoke     q                                 -> @6 revoked stale revoked, fell q@1
            check      b                                 -> fresh
            reinstate  q                                 -> @7 reinstated fresh, revived q@1
            revoke     p                                 -> @8 revoked stale revoked, fell p@1 b@1
        """)

    async def test_withdrawals_of_support_accumulate(self, page: Page) -> None:
        """Law 5: withdrawals of an added justification accumulate and are lifted like any other."""
        await page("""
            record     dependency p 1                    -> @1 recorded fresh
            record     belief b 1 because p              -> @2 recorded fresh
            record     dependency q 1                    -> @3 recorded fresh
            record     belief b 1 because q              -> @4 justified fresh
            revoke     p                                 -> @5 revoked stale revoked, fell p@1
            reinstate  @4                                -> refused nothing_to_lift
            revoke     @4                                -> @6 revoked stale unsupported, fell b@1
            revoke     @4 wrong_from_birth               -> @7 revoked stale unsupported
            reinstate  @4                                -> refused several_withdrawals, standing @6 @7
            reinstate  b lifts @6                        -> refused not_standing
            reinstate  @4 lifts @6 @7                    -> @8 reinstated fresh, revived b@1
        """)

    async def test_other_events_are_not_revocable(self, page: Page) -> None:
        """Law 5: only records and added justifications are revoked."""
        await page("""
            record     belief old 1                      -> @1 recorded fresh
            record     belief a 1                        -> @2 recorded fresh
            record     belief a 1                        -> @3 repeated fresh
            revoke     @3                                -> refused not_revocable
            record     belief a 1 supersedes old         -> @4 justified fresh, fell old@1
            revoke     @4                                -> refused not_revocable
            revoke     a                                 -> @5 revoked stale revoked, fell a@1
            revoke     @5                                -> refused not_revocable
            record     belief a 1                        -> @6 withheld stale revoked, stands @5
            revoke     @6                                -> refused not_revocable
            reinstate  a                                 -> @7 reinstated fresh, revived a@1
            revoke     @7                                -> refused not_revocable
        """)


class Erasing:
    """Law 5: erasure."""

    async def test_erased_content_is_gone(self, page: Page, desk: Desk) -> None:
        """Law 5: erased content is gone from every answer, export and store; tombstone and chain stay."""
        await page("""
            record  dependency p "secret one"                -> @1 recorded fresh
            record  dependency p "secret two" amends 1       -> @2 amended fresh
            record  dependency q "kept"                      -> @3 recorded fresh
            revoke  p erased                                 -> @4 revoked stale erased, fell p@2
            content p@1                                      -> nothing
            content p@2                                      -> nothing
            content q                                        -> "kept"
        """)
        assert (await page.ledger.entry("p@1")).digest == digest_of("secret one")
        await page(f"check p@{digest_of('secret one')} -> stale erased, cause @4")
        for entries in (False, True):
            lines = b"".join([line async for line in page.ledger.export(entries=entries)])
            assert b"kept" in lines
            assert b"secret" not in lines
        store = await desk.store()
        await store.open(create=False)
        held = [sealed.content for sealed in await store.read(page.ledger.name, 0, content=True)]
        await store.close()
        assert held == [None, None, '"kept"', None]

    async def test_erasure_reaches_editions_that_share_a_content(self, page: Page) -> None:
        """Law 5: an erasure acts on every edition of the key that shares a content with the one named."""
        await page("""
            record  dependency p 1                   -> @1 recorded fresh
            record  dependency p 2                   -> @2 recorded fresh, fell p@1
            record  dependency p 1                   -> @3 recorded fresh, fell p@2
            record  dependency p 3 amends 3          -> @4 amended fresh
            record  dependency p 4                   -> @5 recorded fresh, fell p@4
            record  dependency q 1                   -> @6 recorded fresh
            revoke  p@1 erased                       -> @7 revoked stale erased
            check   p@1 p@3 p@4     -> stale erased, …; stale erased, …; stale erased, cause @7, successor p@5
            check   p@2 p q                          -> stale superseded, …; fresh; fresh
            content p@4                              -> nothing
            content p@2                              -> 2
            content q                                -> 1
        """)

    async def test_an_erased_edition_with_several_contents_reaches_on(self, page: Page) -> None:
        """Law 5: any content of the edition named, amended ones too, is looked for."""
        await page("""
            record  dependency p 1                   -> @1 recorded fresh
            record  dependency p 2 amends 1          -> @2 amended fresh
            record  dependency p 3                   -> @3 recorded fresh, fell p@2
            record  dependency p 2                   -> @4 recorded fresh, fell p@3
            revoke  p@1 erased                       -> @5 revoked stale erased, fell p@4
            check   p@4 p@3                          -> stale erased, cause @5; stale superseded, cause @4
        """)

    async def test_an_erasure_is_final(self, page: Page) -> None:
        """Law 5: an erasure is not lifted; what stands beside it is."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            revoke     p                             -> @2 revoked stale revoked, fell p@1
            revoke     p erased                      -> @3 revoked stale erased
            reinstate  p                             -> refused several_withdrawals, standing @2 @3
            reinstate  p lifts @3                    -> refused erased_is_final
            reinstate  p lifts @2                    -> @4 reinstated stale erased
            reinstate  p                             -> refused erased_is_final
        """)

    async def test_what_rests_on_erased_content_falls(self, page: Page) -> None:
        """Law 5: an erasure fells what rests on it, as every withdrawal does; the content of that stays."""
        await page("""
            record  dependency p 1                   -> @1 recorded fresh
            record  belief b "so" because p          -> @2 recorded fresh
            revoke  p erased                         -> @3 revoked stale erased, fell p@1 b@1
            content b                                -> "so"
            record  dependency p 2                   -> @4 recorded fresh
            check   b                                -> stale unsupported, cause @3
        """)

    async def test_what_has_no_key_is_erased_alone(self, page: Page) -> None:
        """Law 5: what has no key shares nothing."""
        await page("""
            record  belief - 1                       -> @1 recorded fresh
            record  belief - 1                       -> @2 recorded fresh
            revoke  @1 erased                        -> @3 revoked stale erased, fell @1
            content @1                               -> nothing
            content @2                               -> 1
            check   @2                               -> fresh
        """)
