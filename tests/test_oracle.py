"""The naive model of validity, law by law, on pages of a ledger written by hand.

Entry n is recorded n seconds after 1970, so that a page can be read without a calendar.
"""

from __future__ import annotations

from typing import Any

import pytest

from ledger.clock import SECOND
from ledger.errors import Ambiguous, Malformed, NotFound
from ledger.model.canonical import digest_of
from ledger.model.entry import KINDS, Entry, Record
from ledger.validity.oracle import Oracle

Support = tuple[list[int], ...]


class Page:
    """A log under the pen. Every line returns its seq; premises and targets are seqs, contents any text."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def write(self, kind: str, **fields: Any) -> int:
        seq = len(self.entries) + 1
        for name in ("occurred_at", "effective_at", "valid_until"):
            if name in fields:
                moment_s = fields.pop(name)
                fields[f"{name}_us"] = None if moment_s is None else int(moment_s * SECOND)
        self.entries.append(KINDS[kind](seq=seq, batch=seq, recorded_at_us=seq * SECOND, **fields))
        return seq

    def record(self, kind: str, key: str | None, text: str, because: Support, **fields: Any) -> int:
        versions = [entry for entry in self.entries if isinstance(entry, Record) and entry.key == key]
        version = 1 if key is None else len(versions) + 1
        support = tuple(map(tuple, because))
        return self.write(kind, key=key, version=version, digest=digest_of(text), because=support, **fields)

    def dependency(self, key: str, text: str = "text", *because: list[int], **fields: Any) -> int:
        return self.record("dependency", key, text, because, **fields)

    def belief(self, key: str | None, *because: list[int], text: str = "text", **fields: Any) -> int:
        return self.record("belief", key, text, because, **fields)

    def mutation(self, key: str | None, *because: list[int], **fields: Any) -> int:
        return self.record("mutation", key, "text", because, **fields)

    def revoke(self, *targets: int, mode: str = "revoked", **fields: Any) -> int:
        return self.write("revocation", targets=targets, mode=mode, **fields)

    def reinstate(self, target: int, *lifts: int) -> int:
        return self.write("reinstatement", targets=(target,), lifts=lifts)

    def verify(self, target: int, text: str, **fields: Any) -> int:
        return self.write("verification", targets=(target,), observed=(digest_of(text),), **fields)

    def attempt(self, target: int, text: str, contradicts: int = 0) -> int:
        return self.write("attempt", targets=(target,), observed=(digest_of(text),), contradicts=(contradicts,))

    def justify(self, target: int, *because: list[int], **fields: Any) -> int:
        supported = self.entries[target - 1]
        assert isinstance(supported, Record)
        fields["because"] = tuple(map(tuple, because))
        return self.write("justification", targets=(target,), observed=(supported.digest,), **fields)

    def check(self, ref: str, *, clock: float | None = None, max_age: float | None = None) -> str:
        """A verdict as a line: `stale revoked, cause @3, use key@2`."""
        clock_us = self.clock_us if clock is None else int(clock * SECOND)
        max_age_us = None if max_age is None else int(max_age * SECOND)
        found = Oracle(self.entries).verdict(ref, clock_us, max_age_us)
        line = found.state + (f" {found.reason}" if found.reason else "")
        line += f", cause {found.cause}" if found.cause else ""
        return line + (f", use {found.successor}" if found.successor else "")

    def named(self, ref: str) -> str | None:
        return Oracle(self.entries).verdict(ref, self.clock_us).id

    def remediation(self) -> tuple[list[int], list[int]]:
        return Oracle(self.entries).remediation(self.clock_us)

    @property
    def clock_us(self) -> int:
        return len(self.entries) * SECOND


@pytest.fixture
def page() -> Page:
    return Page()


# ---- recording, superseding


def test_a_new_version_supersedes_the_older_and_fells_what_rests_on_it(page: Page) -> None:
    page.dependency("policy/refund", "limit 500")
    page.belief("refund-ok", [1])
    assert page.check("refund-ok") == "fresh"
    page.dependency("policy/refund", "limit 200")
    assert page.check("policy/refund") == "fresh"
    assert page.check("policy/refund@1") == "stale superseded, cause @3, use policy/refund@2"
    assert page.check("refund-ok") == "stale unsupported, cause @3"


def test_an_amendment_leaves_what_rests_on_it_untouched(page: Page) -> None:
    page.dependency("policy", "limt 500")
    page.belief("refund-ok", [1])
    page.dependency("policy", "limit 500", amends=1)
    assert page.check("refund-ok") == "fresh"
    assert page.check("policy@1") == "fresh amended"
    assert page.check("policy@2") == "fresh"


def test_amending_does_not_revive_and_support_is_not_changed_by_it(page: Page) -> None:
    page.dependency("policy")
    page.belief("refund-ok", [1])
    page.revoke(1)
    page.revoke(2)
    page.dependency("policy", "better", amends=1)
    page.belief("refund-ok", text="better", amends=1)
    page.reinstate(6, 4)
    assert page.check("policy") == "stale revoked, cause @3"
    assert page.check("refund-ok") == "stale unsupported, cause @3"


def test_of_several_later_editions_the_earliest_is_the_cause_and_the_latest_the_successor(page: Page) -> None:
    for text in ("one", "two", "three"):
        page.dependency("policy", text)
    assert page.check("policy@1") == "stale superseded, cause @2, use policy@3"


def test_supersession_by_what_is_wrong_from_birth_does_not_count_within_a_key(page: Page) -> None:
    page.dependency("policy", "one")
    page.belief("refund-ok", [1])
    page.dependency("policy", "two")
    page.revoke(3, mode="wrong_from_birth")
    assert page.check("policy") == page.check("refund-ok") == "fresh"
    assert page.named("policy") == "@1"
    assert page.check("policy@2") == "stale wrong_from_birth, cause @4"  # @1 is older: no successor


def test_supersession_by_what_is_revoked_counts_still(page: Page) -> None:
    page.dependency("policy", "one")
    page.dependency("policy", "two")
    page.revoke(2)
    assert page.check("policy@1") == "stale superseded, cause @2"
    assert page.check("policy") == "stale revoked, cause @3"


def test_superseding_another_key_holds_for_its_later_editions_too(page: Page) -> None:
    page.dependency("pep/386")
    page.dependency("pep/440", supersedes=(1,))
    page.dependency("pep/386", "again")
    assert page.check("pep/386@1") == "stale superseded, cause @2, use pep/440@1"
    assert page.check("pep/386@2") == "stale superseded, cause @2, use pep/440@1"
    page.revoke(2, mode="wrong_from_birth")
    assert page.check("pep/386") == "fresh"
    assert page.check("pep/386@1") == "stale superseded, cause @3, use pep/386@2"


def test_the_successor_goes_another_keys_edition_first_step_by_step_and_only_if_fresh(page: Page) -> None:
    page.dependency("a")
    page.dependency("b", supersedes=(1,))
    page.dependency("c", supersedes=(2,))
    page.dependency("a", "newer")
    page.dependency("c", "newer")
    assert page.check("a@1") == "stale superseded, cause @2, use c@2"
    page.revoke(5)
    assert page.check("a@1") == "stale superseded, cause @2"


def test_of_several_that_supersede_the_earliest_is_the_cause_and_the_latest_the_successor(page: Page) -> None:
    page.dependency("old")
    page.dependency("b", supersedes=(1,))
    page.dependency("c", supersedes=(1,))
    assert page.check("old") == "stale superseded, cause @2, use c@1"


def test_a_record_without_key_is_named_by_its_number(page: Page) -> None:
    page.dependency("policy")
    page.belief(None, [1], supersedes=(1,))
    page.belief(None)
    page.dependency("policy", "two")
    assert page.check("policy") == "stale superseded, cause @2"
    assert page.check("@2") == "stale unsupported, cause @2"  # unlawful (self_defeating), yet well-defined
    assert page.check("@3") == "fresh"


def test_all_editions_wrong_from_birth_leave_no_current_version_and_the_key_its_newest(page: Page) -> None:
    page.dependency("policy", "one")
    page.dependency("policy", "two")
    page.revoke(1, mode="wrong_from_birth")
    page.revoke(2, mode="wrong_from_birth")
    assert page.named("policy") == "@2"
    assert page.check("policy") == "stale wrong_from_birth, cause @4"
    assert page.check("policy@7") == "unknown not_found"


# ---- support


def test_and_within_a_justification_or_between_them(page: Page) -> None:
    for key in "xyz":
        page.dependency(key)
    page.belief("b", [1, 2], [3])
    page.revoke(1)
    assert page.check("b") == "fresh"
    page.revoke(3)
    assert page.check("b") == "stale unsupported, cause @6"
    page.reinstate(1, 5)
    assert page.check("b") == "fresh"


def test_the_cause_is_the_latest_over_justifications_of_the_earliest_among_premises(page: Page) -> None:
    for key in "wxyz":
        page.dependency(key)
    page.belief("b", [1, 2], [3, 4])
    page.belief("c", [5])
    for target in (1, 3, 2, 4):  # @7 @8 @9 @10
        page.revoke(target)
    assert page.check("b") == page.check("c") == "stale unsupported, cause @8"


def test_what_falls_falls_all_the_way_down_a_long_chain(page: Page) -> None:
    page.dependency("ground")
    for premise in range(1, 3000):
        page.belief(None, [premise])
    page.revoke(1)
    assert page.check("@3000") == "stale unsupported, cause @3001"


def test_cited_entries_are_provenance_only(page: Page) -> None:
    page.dependency("source")
    page.belief("b", cites=(1,))
    page.revoke(1)
    assert page.check("b") == "fresh"


def test_added_support_revives_and_may_rest_on_what_is_newer(page: Page) -> None:
    page.dependency("x")
    page.belief("b", [1])
    page.belief("c", [2])
    page.revoke(1)
    page.dependency("y")
    page.belief("d", [5])
    page.justify(2, [6])
    assert page.check("b") == page.check("c") == "fresh"
    page.revoke(5)
    assert page.check("c") == "stale unsupported, cause @8"


def test_support_that_only_holds_itself_up_does_not_stand(page: Page) -> None:
    page.dependency("x")
    page.belief("b", [1])
    page.belief("c", [2])
    page.justify(2, [3])  # circular_support: never in a lawful log
    page.revoke(1)
    assert page.check("b") == page.check("c") == "stale unsupported"


def test_revoking_an_added_justification_withdraws_all_that_entry_added_alone(page: Page) -> None:
    for key in "xyz":
        page.dependency(key)
    page.belief("b", [1])
    page.justify(4, [2], [3])
    page.revoke(1)
    page.revoke(5)
    assert page.check("b") == "stale unsupported, cause @7"
    assert page.check("y") == "fresh"
    page.reinstate(5, 7)
    assert page.check("b") == "fresh"


def test_added_support_reverifies_and_supersedes_by_its_own_entry(page: Page) -> None:
    page.dependency("x")
    page.dependency("old")
    page.dependency("new", "text", [1])
    page.verify(3, "other")
    assert page.check("new") == "stale diverged, cause @4"
    page.justify(3, [1], supersedes=(2,))
    assert page.check("new") == "fresh"
    assert page.check("old") == "stale superseded, cause @5, use new@1"
    page.verify(1, "text")
    assert page.check("new", clock=10.5, max_age=5) == "stale unverified, cause @5"


# ---- withdrawing


def test_withdrawals_accumulate_and_each_is_lifted_alone(page: Page) -> None:
    page.dependency("x")
    page.revoke(1)
    page.revoke(1)
    page.revoke(1, mode="quarantined")
    assert page.check("x") == "stale quarantined, cause @4"
    page.reinstate(1, 4)
    assert page.check("x") == "stale revoked, cause @2"
    page.reinstate(1, 2)
    assert page.check("x") == "stale revoked, cause @3"
    page.reinstate(1, 3)
    assert page.check("x") == "fresh"


@pytest.mark.parametrize(
    ("stronger", "weaker"),
    [("erased", "wrong_from_birth"), ("wrong_from_birth", "quarantined"), ("quarantined", "revoked")],
)
def test_the_gravest_mode_is_told_whichever_came_first(page: Page, stronger: str, weaker: str) -> None:
    page.dependency("x")
    page.revoke(1, mode=weaker)
    page.revoke(1, mode=stronger)
    assert page.check("x") == f"stale {stronger}, cause @3"


def test_a_withdrawal_acts_on_the_edition_not_on_the_version_alone(page: Page) -> None:
    page.dependency("x", "one")
    page.dependency("x", "two", amends=1)
    page.dependency("x", "three")
    page.revoke(1)
    assert page.check("x@2") == "stale revoked, cause @4, use x@3"
    assert page.check("x@3") == "fresh"


def test_erasing_acts_on_every_edition_it_names(page: Page) -> None:
    page.dependency("x", "one")
    page.dependency("x", "two")
    page.dependency("x", "one")
    page.revoke(1, 3, mode="erased")
    assert page.check("x@1") == page.check("x@3") == "stale erased, cause @4"
    assert page.check("x@2") == "stale superseded, cause @3"


def test_a_supersession_by_another_key_is_lifted_only_when_named_and_for_good(page: Page) -> None:
    page.dependency("pep/386")
    page.dependency("pep/440", supersedes=(1,))
    page.revoke(1)
    page.reinstate(1, 3)
    assert page.check("pep/386") == "stale superseded, cause @2, use pep/440@1"
    page.reinstate(1, 2)
    assert page.check("pep/386") == "fresh"
    page.dependency("pep/386", "later")
    assert page.check("pep/386") == "fresh"


def test_the_effect_of_a_lift_is_on_its_target_only(page: Page) -> None:
    page.dependency("x")
    page.dependency("y")
    page.dependency("z", supersedes=(1, 2))
    page.reinstate(1, 3)
    assert page.check("x") == "fresh"
    assert page.check("y") == "stale superseded, cause @3, use z@1"


# ---- expiry, divergence, age


def test_expired_from_the_very_moment_on_and_all_that_rests_on_it_too(page: Page) -> None:
    page.dependency("offer", valid_until=10)
    page.belief("b", [1])
    assert page.check("b", clock=9.999999) == "fresh"
    assert page.check("offer", clock=10) == "stale expired, cause @1"
    assert page.check("b", clock=10) == "stale unsupported, cause @1"
    page.write("expiry", targets=(1,))
    assert page.check("offer", clock=9) == "fresh"


def test_an_absent_valid_until_keeps_the_old_null_removes_it_another_replaces_it(page: Page) -> None:
    page.dependency("offer", "one", valid_until=10)
    page.dependency("offer", "two", amends=1)
    assert page.check("offer", clock=15) == "stale expired, cause @1"
    page.verify(2, "two", valid_until=20)
    assert page.check("offer", clock=15) == "fresh"
    assert page.check("offer", clock=20) == "stale expired, cause @3"
    page.justify(2, valid_until=None)
    assert page.check("offer", clock=99) == "fresh"
    page.dependency("offer", "three", valid_until=30)
    page.dependency("offer", "four")
    assert page.check("offer", clock=99) == "fresh"  # a new edition is born without it


def test_another_digest_diverges_until_a_match_and_the_first_is_the_cause(page: Page) -> None:
    page.dependency("doc", "one")
    page.verify(1, "two")
    page.verify(1, "three")
    assert page.check("doc") == "stale diverged, cause @2"
    page.verify(1, "one")
    assert page.check("doc") == "fresh"
    page.verify(1, "two")
    assert page.check("doc") == "stale diverged, cause @5"


def test_only_an_amendment_with_the_digest_observed_last_ends_divergence(page: Page) -> None:
    page.dependency("doc", "one")
    page.verify(1, "two")
    page.verify(1, "three")
    page.dependency("doc", "two", amends=1)
    assert page.check("doc") == "stale diverged, cause @2"
    page.dependency("doc", "three", amends=4)
    assert page.check("doc") == "fresh"


def test_a_new_edition_is_born_without_divergence_and_the_old_digest_now_diverges(page: Page) -> None:
    page.dependency("doc", "one")
    page.verify(1, "two")
    page.dependency("doc", "two")
    assert page.check("doc") == "fresh"
    page.verify(3, "one")
    assert page.check("doc") == "stale diverged, cause @4"


@pytest.mark.parametrize("mode", ["wrong_from_birth", "quarantined", "erased"])
def test_condemned_content_seen_again_makes_the_current_edition_diverged(page: Page, mode: str) -> None:
    page.dependency("doc", "bad")
    page.revoke(1, mode=mode)
    page.dependency("doc", "good")
    page.attempt(1, "bad", contradicts=3)
    assert page.check("doc") == "stale diverged, cause @4"


def test_an_attempt_on_what_is_only_revoked_or_no_dependency_or_current_changes_nothing(page: Page) -> None:
    page.dependency("doc", "one")
    page.revoke(1)
    page.dependency("doc", "two")
    page.attempt(1, "one")
    page.belief("b", text="bad")
    page.revoke(5, mode="wrong_from_birth")
    page.belief("b", text="good")
    page.attempt(5, "bad")
    page.dependency("q", "same")
    page.revoke(9, mode="quarantined")
    page.attempt(9, "same")
    page.reinstate(9, 10)
    assert page.check("doc") == page.check("b") == page.check("q") == "fresh"


def test_an_attempt_never_confirms_what_it_repeats(page: Page) -> None:
    page.dependency("doc", "one")
    page.verify(1, "two")
    page.revoke(1, mode="quarantined")
    page.attempt(1, "one")
    page.reinstate(1, 3)
    assert page.check("doc") == "stale diverged, cause @2"


def test_the_attempt_is_judged_as_of_its_place_in_the_log(page: Page) -> None:
    page.dependency("doc", "bad")
    page.dependency("doc", "good")
    page.attempt(1, "bad")
    page.revoke(1, mode="quarantined")
    assert page.check("doc") == "fresh"


def test_only_dependencies_age_and_what_rests_on_them_falls_with_them(page: Page) -> None:
    page.dependency("doc")
    page.belief("b", [1])
    assert page.check("doc", clock=11, max_age=10) == "fresh"
    assert page.check("doc", clock=11.5, max_age=10) == "stale unverified, cause @1"
    assert page.check("b", clock=11.5, max_age=10) == "stale unsupported, cause @1"
    assert page.check("b", clock=11.5) == "fresh"
    page.belief("ground")
    assert page.check("ground", clock=99, max_age=1) == "fresh"


def test_an_aged_dependency_whose_support_aged_too_is_unsupported_first(page: Page) -> None:
    page.dependency("source")
    page.dependency("chunk", "text", [1])
    page.verify(1, "text")
    assert page.check("chunk", clock=12.5, max_age=10) == "stale unverified, cause @2"
    assert page.check("chunk", clock=14, max_age=10) == "stale unsupported, cause @3"


def test_checked_at_moves_by_a_match_or_an_amendment_forwards_only_never_by_a_failed_look(page: Page) -> None:
    page.dependency("doc", "one")
    page.verify(1, "one")
    page.verify(1, "one", occurred_at=0.5)
    assert page.check("doc", clock=13, max_age=10) == "stale unverified, cause @2"
    page.verify(1, "other")
    page.verify(1, "one", occurred_at=2)
    assert page.check("doc", clock=13, max_age=10) == "stale unverified, cause @5"
    page.dependency("doc", "two", amends=1)
    assert page.check("doc", clock=13, max_age=10) == "fresh"
    assert page.check("doc", clock=17, max_age=10) == "stale unverified, cause @6"


# ---- references


def test_what_an_event_acts_on_is_named_through_it(page: Page) -> None:
    page.dependency("x")
    page.dependency("y")
    page.belief("b", [1])
    page.justify(3, [2])
    page.revoke(4)
    page.reinstate(4, 5)
    assert page.named("@4") == page.named("@5") == page.named("@6") == "@3"
    page.write("verification", targets=(1, 2), observed=(digest_of("text"),) * 2)
    assert page.check("@7") == "unknown ambiguous"


def test_a_reference_that_names_nothing_is_unknown_with_a_way_on_where_the_key_is_known(page: Page) -> None:
    page.dependency("x")
    assert page.check("x@2") == page.check(f"x@sha256:{'0' * 64}") == "unknown not_found, use x@1"
    assert page.check("x@0") == "unknown not_found, use x@1"
    assert page.check("y") == page.check("@0") == page.check("@2") == "unknown not_found"
    assert page.check("") == page.check("@x") == page.check("x@sha256:12") == "unknown malformed"
    page.revoke(1)
    assert page.check("x@2") == "unknown not_found"


def test_a_digest_names_the_newest_version_with_it_and_two_contents_are_ambiguous(page: Page) -> None:
    for digest in ("a" * 64, "b" * 64, "a" * 64, "a" * 10 + "c" * 54):
        page.write("dependency", key="x", version=len(page.entries) + 1, digest=f"sha256:{digest}")
    assert page.named(f"x@sha256:{'a' * 64}") == page.named(f"x@sha256:{'a' * 11}") == "@3"
    assert page.check(f"x@sha256:{'a' * 10}") == "unknown ambiguous"


def test_resolve_raises_what_the_verdict_tells(page: Page) -> None:
    page.dependency("x")
    page.write("verification", targets=(1, 1), observed=(digest_of("text"),) * 2)
    page.dependency("y")
    page.write("verification", targets=(1, 3), observed=(digest_of("text"),) * 2)
    oracle = Oracle(page.entries)
    assert oracle.resolve("x") == oracle.resolve("x@1") == oracle.resolve("@2") == 1
    for ref, error in [("@4", Ambiguous), ("z", NotFound), ("@9", NotFound), ("@", Malformed)]:
        with pytest.raises(error):
            oracle.resolve(ref)


def test_states_tells_every_version_at_once(page: Page) -> None:
    page.dependency("x", "one")
    page.dependency("x", "two", amends=1)
    page.belief("b", [1])
    page.dependency("x", "three")
    superseded = ("stale", "superseded")
    states = Oracle(page.entries).states(page.clock_us)
    assert states == {1: superseded, 2: superseded, 3: ("stale", "unsupported"), 4: ("fresh", None)}
    before = Oracle(page.entries[:3]).states(page.clock_us)
    assert before == {1: ("fresh", "amended"), 2: ("fresh", None), 3: ("fresh", None)}


# ---- acts


@pytest.mark.parametrize(
    ("withdrawn", "needs_repair"),
    [
        ({"mode": "wrong_from_birth"}, True),
        ({"mode": "quarantined"}, True),
        ({"mode": "revoked", "effective_at": 2.9}, True),
        ({"mode": "revoked", "effective_at": 3}, False),
        ({"mode": "erased"}, False),
    ],
)
def test_an_act_needs_remediation_if_its_ground_was_wrong_or_gone_before_it(
    page: Page, withdrawn: dict[str, Any], needs_repair: bool
) -> None:
    page.dependency("ground")
    page.belief("b", [1])
    page.mutation("paid", [2])
    page.revoke(1, **withdrawn)
    assert page.remediation() == (([3], []) if needs_repair else ([], [3]))


def test_an_act_is_judged_as_of_when_it_was_done(page: Page) -> None:
    page.dependency("ground")
    page.revoke(1, occurred_at=1.5)
    page.mutation("told-at-once", [1], occurred_at=1.4)
    page.mutation("too-late", [1])
    assert page.remediation() == ([4], [3])


def test_an_amended_act_was_done_when_its_first_version_was(page: Page) -> None:
    page.dependency("ground")
    page.mutation("paid", [1])
    page.mutation("paid", amends=2)
    page.revoke(1, effective_at=2.5)
    assert page.remediation() == ([], [3])


def test_an_act_has_lapsed_when_its_grounds_were_only_superseded_or_expired(page: Page) -> None:
    page.dependency("policy", "one")
    page.dependency("offer", valid_until=4)
    page.mutation(None, [1])
    page.mutation(None, [2])
    page.dependency("policy", "two")
    assert page.remediation() == ([], [3, 4])


def test_remediation_looks_only_along_what_has_fallen_and_at_acts_without_support(page: Page) -> None:
    page.dependency("x")
    page.dependency("y")
    page.belief("b", [1], [2])
    page.dependency("policy")
    page.mutation("supported", [3])
    page.mutation("lapsed", [3, 4])
    page.mutation("ground")
    page.revoke(1, mode="wrong_from_birth")
    page.revoke(4)
    page.revoke(7)
    page.revoke(5)
    assert page.remediation() == ([], [6])


def test_an_act_whose_added_support_was_withdrawn_as_wrong_needs_remediation(page: Page) -> None:
    page.dependency("x", "one")
    page.mutation("paid", [1])
    page.dependency("x", "two")
    page.dependency("y")
    page.justify(2, [4])
    page.revoke(5, mode="wrong_from_birth")
    page.mutation("paid", amends=2)
    page.revoke(2)
    assert page.remediation() == ([7], [])
