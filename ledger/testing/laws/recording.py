"""Laws 1-3: recording, repeating, and that repetition never revives."""

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
            record  dependency policy/refund {"limit": 500}        -> @1 recorded fresh
            record  belief refund-ok true  because policy/refund   -> @2 recorded fresh
            record  dependency policy/refund {"limit": 200}        -> @3 recorded fresh, fell policy/refund@1 refund-ok@1
            check   refund-ok                                      -> stale unsupported, cause @3
            check   policy/refund@1    -> stale superseded, cause @3, successor policy/refund@2
            check   policy/refund      -> fresh
            names   policy/refund      -> policy/refund@2
        """)

    async def test_only_the_current_content_is_a_repetition(self, page: Page) -> None:
        """Law 1: content is compared with the current version alone; going back to an older one is a new version."""
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
            check   policy@1 ok                          -> stale revoked, cause @3, successor policy@2; stale unsupported, cause @3
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
        """Law 1: of an amendment, an absent `valid_until` keeps the old, null removes it, another replaces it."""
        await page("""
            record  dependency p 1 valid_until +10s            -> @1 recorded fresh
            record  dependency p 2 amends 1                    -> @2 amended fresh
            wait    10s
            check   p                                          -> stale expired, cause @1
            record  dependency p 3 amends 2 valid_until +10s   -> @4 amended fresh, revived p@3
            wait    10s
            check   p p@1                                      -> stale expired, cause @4; stale expired, cause @4
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
            check      old older                                 -> fresh; stale superseded, cause @5, successor new@2
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
        """Law 1: beliefs, approvals, mutations, dependencies, decisions and contexts rest on each other alike."""
        await page("""
            record  dependency page/1 "text"             -> @1 recorded fresh
            record  context prompt-1 "…" because page/1  -> @2 recorded fresh
            record  belief ok true because prompt-1      -> @3 recorded fresh
            record  approval go true because ok          -> @4 recorded fresh
            record  decision pay 5 because go            -> @5 recorded fresh
            record  mutation paid 5 because pay          -> @6 recorded fresh
            revoke  page/1     -> @7 revoked stale revoked, fell page/1@1 prompt-1@1 ok@1 go@1 pay@1 paid@1
        """)


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
        """Law 2: support equal, by editions, to one this edition ever had is not new, in whatever order it is named."""
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
        """Law 2: in one batch, repetitions that add nothing are one verification entry naming all their targets."""
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
        """Law 2: a revoked edition is restated anew; one superseded by another key too, and stays superseded."""
        await page("""
            record  dependency p 1                      -> @1 recorded fresh
            revoke  p                                   -> @2 revoked stale revoked, fell p@1
            record  dependency p 1 restate              -> @3 recorded fresh
            record  dependency q 1 supersedes p         -> @4 recorded fresh, fell p@2
            record  dependency p 1 restate              -> @5 recorded stale superseded
            check   p@1 p@3                             -> stale revoked, …; stale superseded, cause @4, successor q@1
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


class NeverReviving:
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
            revoke     p                                               -> @7 revoked stale revoked, fell p@1 b@1
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
        """Law 3: quarantined and erased content is never recorded again; while it is current, it is withheld."""
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
        """)

    async def test_a_condemned_dependency_seen_again_contradicts_us(self, page: Page) -> None:
        """Law 3: condemned content of a dependency whose current version is another makes the current edition diverged."""
        await page("""
            record     dependency p 1              -> @1 recorded fresh
            record     dependency p 2              -> @2 recorded fresh, fell p@1
            record     belief b 1 because p        -> @3 recorded fresh
            revoke     p@1 wrong_from_birth        -> @4 revoked stale wrong_from_birth
            record     dependency p 1              -> @5 condemned stale wrong_from_birth, stands @4, fell p@2 b@1
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
            record     dependency p 1 idempotency_key k       -> @3 withheld stale revoked, stands @2, replayed
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
        """Law 3, order of judgement: equal content, then condemned, only then `amends`, `expects`, `supersedes`, support."""
        await page("""
            record     dependency p 1                              -> @1 recorded fresh
            record     dependency p 2                              -> @2 recorded fresh, fell p@1
            revoke     p@1 quarantined                             -> @3 revoked stale quarantined
            record     dependency q 1                              -> @4 recorded fresh
            revoke     q                                           -> @5 revoked stale revoked, fell q@1
            record     dependency p 1 amends 7                     -> @6 condemned stale quarantined, stands @3, fell p@2
            record     dependency p 1 expects 7                    -> @7 condemned stale quarantined, stands @3
            record     dependency p 1 supersedes p                 -> @8 condemned stale quarantined, stands @3
            record     dependency p 1 because q require_fresh      -> @9 condemned stale quarantined, stands @3
            record     dependency q 1 because p require_fresh      -> @10 withheld stale revoked, stands @5
        """)

    async def test_then_amends_expects_supersedes_and_support(self, page: Page) -> None:
        """Law 3, order of judgement: of a new version, `amends`, `expects`, `supersedes`, and support last."""
        await page("""
            record     dependency p 1                              -> @1 recorded fresh
            record     dependency q 1 supersedes p                 -> @2 recorded fresh, fell p@1
            record     dependency p 2 amends 7 supersedes q        -> refused not_current
            record     dependency p 2 expects 7 supersedes q       -> refused not_current
            record     dependency p 2 amends 1 because q supersedes q       -> refused amendment_changes_support
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
            revoke     c wrong_from_birth                          -> @5 revoked stale wrong_from_birth, fell c@1, revived a@1 b@1
            record     belief a 1 because b supersedes c           -> refused circular_supersession
            record     belief a 1 because b                        -> refused circular_support
        """)
