"""Law 1: recording."""

from __future__ import annotations

from ledger.testing.page import Page


class Recording:
    """Law 1."""

    async def test_an_unknown_key_begins_with_version_1(self, page: Page) -> None:
        """Law 1: an unknown key starts its first edition."""
        await page("""
            record  belief sky "blue"   -> @1 recorded fresh
            names   sky                 -> sky@1
            check   sky@1 @1            -> fresh; fresh
        """)

    async def test_a_new_version_fells_what_rests_on_the_old_one(self, page: Page) -> None:
        """Law 1: other content is a new version, starts a new edition and supersedes the older ones."""
        await page("""
            record  dependency policy/refund {"limit": 500}  -> @1 recorded fresh
            record  belief refund-ok true because policy/refund  -> @2 recorded fresh
            record  dependency policy/refund {"limit": 200}  -> @3 recorded fresh, fell …refund@1 refund-ok@1
            check   refund-ok          -> stale unsupported, cause @3
            check   policy/refund@1    -> stale superseded, cause @3, successor policy/refund@2
            check   policy/refund      -> fresh
            names   policy/refund      -> policy/refund@2
        """)

    async def test_only_the_current_content_is_a_repetition(self, page: Page) -> None:
        """Law 1: content is compared with the current version alone; going back to an older one is new."""
        await page("""
            record  dependency door open     -> @1 recorded fresh
            record  dependency door shut     -> @2 recorded fresh, fell door@1
            record  dependency door open     -> @3 recorded fresh, fell door@2
            names   door                     -> door@3
        """)

    async def test_a_new_version_after_a_withdrawal_stands(self, page: Page) -> None:
        """Law 1: a new version is born with nothing of what was held against the edition before."""
        await page("""
            record  dependency policy 500                -> @1 recorded fresh
            record  belief ok true because policy        -> @2 recorded fresh
            revoke  policy                               -> @3 revoked stale revoked, fell policy@1 ok@1
            record  dependency policy 200                -> @4 recorded fresh
            check   policy@1 ok    -> stale revoked, cause @3, successor policy@2; stale unsupported, cause @3
        """)

    async def test_expects_names_the_current_version(self, page: Page) -> None:
        """Law 1: `expects: N` refuses unless version N is current; 0: the key has no current version."""
        await page("""
            record  belief a 1 expects 1     -> refused not_current
            record  belief a 1 expects 0     -> @1 recorded fresh
            record  belief a 2 expects 0     -> refused not_current
            record  belief a 2 expects 2     -> refused not_current
            record  belief a 2 expects 1     -> @2 recorded fresh, fell a@1
            revoke  a@2 wrong_from_birth     -> @3 revoked stale wrong_from_birth, fell a@2, revived a@1
            record  belief a 3 expects 2     -> refused not_current
            revoke  a@1 wrong_from_birth     -> @4 revoked stale wrong_from_birth, fell a@1
            record  belief a 3 expects 1     -> refused not_current
            record  belief a 3 expects 0     -> @5 recorded fresh
            names   a                        -> a@3
        """)

    async def test_an_amendment_joins_the_edition(self, page: Page) -> None:
        """Law 1: with `amends` a version joins the current edition: what rests on it is untouched."""
        await page("""
            record  dependency policy "limt 500"              -> @1 recorded fresh
            record  belief ok true because policy             -> @2 recorded fresh
            record  dependency policy "limit 500" amends 1    -> @3 amended fresh
            check   ok policy policy@2                        -> fresh; fresh; fresh
            check   policy@1                                  -> fresh amended
            revoke  policy@1                                  -> @4 revoked stale revoked, fell policy@2 ok@1
            check   policy@2                                  -> stale revoked, cause @4
        """)

    async def test_only_the_current_version_is_amended(self, page: Page) -> None:
        """Law 1: `amends` names the current version, else `not_current`."""
        await page("""
            record  belief a 1 amends 1      -> refused not_current
            record  belief a 1               -> @1 recorded fresh
            record  belief a 2 amends 2      -> refused not_current
            record  belief a 2 amends 1      -> @2 amended fresh
            record  belief a 3 amends 1      -> refused not_current
            record  belief a 3               -> @3 recorded fresh, fell a@2
            record  belief a 4 amends 2      -> refused not_current
        """)

    async def test_an_amendment_may_go_back_to_an_earlier_text(self, page: Page) -> None:
        """Law 1: an amendment is another version even if an older one said the same."""
        await page("""
            record  belief a 1               -> @1 recorded fresh
            record  belief a 2 amends 1      -> @2 amended fresh
            record  belief a 1 amends 2      -> @3 amended fresh
            check   a@1 a@2 a@3              -> fresh amended; fresh amended; fresh
        """)

    async def test_an_amendment_keeps_its_support(self, page: Page) -> None:
        """Law 1: an amendment may not name other support; the same is compared by edition."""
        await page("""
            record  dependency p 1                                 -> @1 recorded fresh
            record  dependency q 1                                 -> @2 recorded fresh
            record  belief b 1 because p | q                       -> @3 recorded fresh
            record  dependency p 2 amends 1                        -> @4 amended fresh
            record  belief b 2 amends 1 because p@2                -> @5 amended fresh
            record  belief b 3 amends 2 because p & q              -> refused amendment_changes_support
            record  dependency r 1                                 -> @6 recorded fresh
            record  belief b 3 amends 2 because p | r              -> refused amendment_changes_support
            record  dependency r 2 amends 1 because p              -> refused amendment_changes_support
            revoke  q                                              -> @7 revoked stale revoked, fell q@1
            check   b                                              -> fresh
            revoke  p                                              -> @8 revoked stale revoked, fell p@2 b@2
        """)

    async def test_an_amendment_is_no_way_around_new_versions(self, page: Page) -> None:
        """Law 1: support is compared by edition, so a new version of a premise is other support."""
        await page("""
            record  dependency p 1                      -> @1 recorded fresh
            record  belief b 1 because p                -> @2 recorded fresh
            record  dependency p 2                      -> @3 recorded fresh, fell p@1 b@1
            record  belief b 2 amends 1 because p       -> refused amendment_changes_support
            record  belief b 2 amends 1 because p@1     -> @4 amended stale unsupported
        """)

    async def test_the_limit_of_an_amendment(self, page: Page) -> None:
        """Law 1: in an amendment an absent `valid_until` keeps the old, null removes, another replaces it."""
        await page("""
            record  dependency p 1 valid_until +10s            -> @1 recorded fresh
            record  dependency p 2 amends 1                    -> @2 amended fresh
            wait    10s
            check   p                                          -> stale expired, cause @1
            record  dependency p 3 amends 2 valid_until +10s   -> @4 amended fresh, revived p@3
            wait    10s
            check   p p@1                                  -> stale expired, cause @4; stale expired, cause @4
            record  dependency p 4 amends 3 valid_until null   -> @6 amended fresh, revived p@4
            wait    1d
            check   p                                          -> fresh
        """)

    async def test_the_supersessions_of_an_amendment(self, page: Page) -> None:
        """Law 1: an amendment supersedes what it names anew, not again what its edition ever named."""
        await page("""
            record     dependency old 1                          -> @1 recorded fresh
            record     dependency older 1                        -> @2 recorded fresh
            record     dependency new 1 supersedes old           -> @3 recorded fresh, fell old@1
            reinstate  old lifts @3                              -> @4 reinstated fresh, revived old@1
            record     dependency new 2 amends 1 supersedes old older    -> @5 amended fresh, fell older@1
            check      old older                         -> fresh; stale superseded, cause @5, successor new@2
        """)

    async def test_amending_does_not_revive_what_is_withdrawn(self, page: Page) -> None:
        """Law 1: amending what is withdrawn is allowed and does not revive it."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            revoke     p quarantined               -> @2 revoked stale quarantined, fell p@1
            record     dependency p 2 amends 1     -> @3 amended stale quarantined
            check      p                           -> stale quarantined, cause @2
            reinstate  p@1                         -> @4 reinstated fresh amended, revived p@2
        """)

    async def test_amending_does_not_revive_what_expired_or_lost_its_support(self, page: Page) -> None:
        """Law 1: amending what is expired or unsupported is allowed and does not revive it."""
        await page("""
            record  dependency p 1 valid_until +10s     -> @1 recorded fresh
            record  belief b 1 because p                -> @2 recorded fresh
            wait    11s
            record  dependency p 2 amends 1             -> @4 amended stale expired
            record  belief b 2 amends 1                 -> @5 amended stale unsupported
        """)

    async def test_what_has_no_key_is_always_new(self, page: Page) -> None:
        """Law 1: a record without key is always new; no `amends`, `expects` or `restate`."""
        await page("""
            record  belief - "it rains"             -> @1 recorded fresh
            record  belief - "it rains"             -> @2 recorded fresh
            revoke  @1 wrong_from_birth             -> @3 revoked stale wrong_from_birth, fell @1
            record  belief - "it rains"             -> @4 recorded fresh
            record  belief - "it rains" amends 1    -> refused malformed
            record  belief - "it rains" expects 0   -> refused malformed
            record  belief - "it rains" restate     -> refused malformed
            record  dependency - "it rains"         -> refused malformed
            check   @1 @2 @4                        -> stale wrong_from_birth, cause @3; fresh; fresh
        """)

    async def test_a_key_keeps_its_kind(self, page: Page) -> None:
        """Law 1: a key keeps the kind it was born with, whatever became of it."""
        await page("""
            record  belief a 1               -> @1 recorded fresh
            record  decision a 1             -> refused kind_conflict
            revoke  a erased                 -> @2 revoked stale erased, fell a@1
            record  decision a 2             -> refused kind_conflict
        """)

    async def test_every_kind_of_record(self, page: Page) -> None:
        """Law 1: all kinds of records rest on each other alike."""
        await page("""
            record  dependency page/1 "text"             -> @1 recorded fresh
            record  context prompt-1 "…" because page/1  -> @2 recorded fresh
            record  belief ok true because prompt-1      -> @3 recorded fresh
            record  approval go true because ok          -> @4 recorded fresh
            record  decision pay 5 because go            -> @5 recorded fresh
            record  mutation paid 5 because pay          -> @6 recorded fresh
            revoke  page/1     -> @7 revoked stale revoked, fell page/1@1 prompt-1@1 ok@1 go@1 pay@1 paid@1
        """)
