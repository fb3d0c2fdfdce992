"""What commands would do, told before they do it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import ImpactChanged, Malformed, Refused
from ledger.model.withdrawal import WithdrawalPlan
from ledger.testing.desk import Desk, standing
from ledger.testing.page import Page

STORY = """
    record  dependency p 1                       -> @1 recorded fresh
    record  dependency q 1 valid_until +1m       -> @2 recorded fresh
    record  belief b 1 because p                 -> @3 recorded fresh
    record  belief c 1 because p | q             -> @4 recorded fresh
    record  mutation pay 1 because b             -> @5 recorded fresh
    record  mutation ship 1 because c            -> @6 recorded fresh
    record  belief d 1                           -> @7 recorded fresh
"""

PLANS: list[list[dict[str, Any]]] = [
    [{"op": "revoke", "target": "p"}],
    [{"op": "revoke", "target": "p", "mode": "quarantined"}, {"op": "revoke", "target": "q"}],
    [{"op": "record", "kind": "dependency", "key": "p", "content": 2}],
    [{"op": "record", "kind": "belief", "key": "d", "content": 2, "supersedes": ["b"]}],
    [{"op": "record", "kind": "mutation", "content": 1, "because": [["p@1"]]}],
    [{"op": "reinstate", "target": "q"}],
    [{"op": "verify", "target": "q", "digest": "sha256:" + "0" * 64}],
    [{"op": "record", "kind": "belief", "key": "b", "content": 1, "because": [["q"]]}, {"op": "revoke", "target": "d"}],
]


class Foreseeing:
    """What if: impact tells what a batch would do (laws 5, 6 and 16), and does nothing."""

    async def test_it_tells_what_would_happen(self, page: Page) -> None:
        """What would fall and revive is told before, with the acts that would need repair; nothing is recorded."""
        await page(STORY)
        await page("""
            impact                                   -> fell p@1 b@1 pay@1
                revoke p
            impact                                   -> fell p@1 b@1 pay@1, needs pay@1
                revoke p wrong_from_birth
            impact                                   -> fell p@1 q@1 b@1 c@1 pay@1 ship@1, needs pay@1 ship@1
                revoke p quarantined
                revoke q
            impact                                   -> nothing
                revoke p
                reinstate p
            entries                                  -> @1 @2 @3 @4 @5 @6 @7
            check   p b c pay ship                   -> fresh; fresh; fresh; fresh; fresh
            revoke  p                                -> @8 revoked stale revoked, fell p@1 b@1 pay@1
            impact                                   -> revived p@1 b@1 pay@1
                reinstate p
            impact                                   -> needs pay@1
                revoke p quarantined
            wait    1m
            impact                                   -> needs pay@1 ship@1
                revoke p quarantined
            remediation                              -> lapsed pay@1 by @8; lapsed ship@1 by @8
        """)

    async def test_acts_may_need_repair_though_nothing_falls(self, page: Page) -> None:
        """An act that had lapsed needs repair when its ground turns out to have been gone before it was done."""
        await page("""
            record  dependency p 1                   -> @1 recorded fresh
            record  dependency q 1                   -> @2 recorded fresh
            wait    10s
            record  mutation m 1 because p           -> @3 recorded fresh
            wait    10s
            revoke  p                                -> @4 revoked stale revoked, fell p@1 m@1
            revoke  q wrong_from_birth               -> @5 revoked stale wrong_from_birth, fell q@1
            remediation                              -> lapsed m@1 by @4
            impact                                   -> nothing
                revoke p effective_at -5s
            impact                                   -> needs m@1
                revoke p effective_at -15s
            impact                                   -> needs m@1
                record mutation m 1 because q
            revoke  p effective_at -15s              -> @6 revoked stale revoked
            remediation                              -> needs m@1 by @6
            impact                                   -> nothing
                revoke p quarantined
        """)

    async def test_what_is_refused_is_refused_alike(self, page: Page) -> None:
        """What the laws forbid is refused with the same code, at the same command."""
        await page(STORY)
        await page("""
            impact                                   -> refused not_found, command 1
                revoke p
                revoke nowhere
            impact                                   -> refused nothing_to_lift, command 0
                reinstate p
            impact                                   -> refused self_defeating, command 0
                record dependency p 2 because p
            entries                                  -> @1 @2 @3 @4 @5 @6 @7
        """)

    async def test_what_is_told_is_what_is_done(self, page: Page) -> None:
        """A batch bound to what was told of it does that; counts, outcomes and verdicts are those that were told."""
        await page(STORY)
        for plan in PLANS:
            before = await standing(page)
            told = await page.ledger.impact(plan)
            assert await standing(page) == before
            done = await page.ledger.apply(plan, expects_impact=told.digest)
            assert [(one.outcome, one.ref, one.verdict) for one in told.results] == [
                (one.outcome, one.ref, one.verdict) for one in done.results
            ]
            if len(plan) == 1:
                assert (told.fell.count, told.fell.first) == (done.results[0].fell.count, done.results[0].fell.first)

    async def test_a_ledger_that_moved(self, page: Page) -> None:
        """Bound to what was told, a batch that would do something else by now is refused; what is apart matters not."""
        await page(STORY)
        plan = [{"op": "revoke", "target": "p"}]
        told = (await page.ledger.impact(plan)).digest
        await page("record  belief apart 1               -> @8 recorded fresh")
        assert (await page.ledger.impact(plan)).digest == told
        await page("record  belief more 1 because b      -> @9 recorded fresh")
        with pytest.raises(ImpactChanged) as moved:
            await page.ledger.apply(plan, expects_impact=told)
        assert moved.value.details["impact"] == (await page.ledger.impact(plan)).digest != told
        await page("check   p b more                     -> fresh; fresh; fresh")
        await page.ledger.apply(plan, expects_impact=moved.value.details["impact"])
        await page("check   p b more -> stale revoked, …; stale unsupported, …; stale unsupported, …")

    async def test_it_is_not_older_than_a_revision(self, desk: Desk) -> None:
        """Asked of another process with the revision of a write, it knows of that write."""
        here, there = await desk.open(), await desk.open()
        await here.ledger.record("dependency", 1, key="p")
        wrote = await here.ledger.record("belief", 1, key="b", because=[["p"]])
        told = await there.ledger.impact([{"op": "revoke", "target": "p"}], at_least=wrote.revision)
        assert told.fell.first == ("p@1", "b@1")
        with pytest.raises(Refused):
            await there.ledger.impact([{"op": "revoke", "target": "p"}], at_least="elsewhere@1.00000000")


POISONED = """
    record  dependency web/a 1 by x              -> @1 recorded fresh
    record  dependency docs/b 1 by ann           -> @2 recorded fresh
    record  belief one 1 because web/a by x      -> @3 recorded fresh
    record  belief two 1 because docs/b by ann   -> @4 recorded fresh
    record  belief two 1 because web/a by x      -> @5 justified fresh
    wait    1m
    record  belief three 1 because one by ann    -> @6 recorded fresh
    record  mutation pay 1 because three by ann  -> @7 recorded fresh
    record  belief one 2 amends 1 by x           -> @8 amended fresh
"""


class WithdrawingMany:
    """Law 5 for many editions at once: planned, then done as it was shown."""

    async def test_a_plan_shows_and_changes_nothing(self, page: Page) -> None:
        """What fits a filter is planned, one revocation an edition, with what would fall; nothing is recorded."""
        await page(POISONED)
        plan = await page.ledger.plan_withdrawal(actor="x", mode="quarantined", reason="was injected", by="ops")
        assert (plan.targets, plan.count) == (("@1", "@5", "@8"), 3)
        assert plan.kinds == {"belief": 1, "dependency": 1, "justification": 1}
        assert [one.ref for one in plan.first] == ["web/a@1", "@5", "one@2"]
        assert plan.impact.fell.first == ("web/a@1", "one@2", "three@1", "pay@1")
        assert plan.impact.remediation.first == ("pay@1",)
        assert plan.commands[0] == {
            "op": "revoke",
            "target": "@1",
            "mode": "quarantined",
            "reason": "was injected",
            "actor": "ops",
        }
        assert (await page.ledger.impact(plan.commands)).digest == plan.digest
        await page("""
            entries                                      -> @1 @2 @3 @4 @5 @6 @7 @8
            check   web/a one two three pay              -> fresh; fresh; fresh; fresh; fresh
        """)

    async def test_a_plan_is_done_as_it_was_shown(self, page: Page) -> None:
        """All of it as one batch, the support that was added to others' conclusions too; what stands without stays."""
        await page(POISONED)
        plan = await page.ledger.plan_withdrawal(actor="x", mode="quarantined", reason="was injected", by="ops")
        done = await page.ledger.withdraw(plan)
        assert (done.count, done.fell.count, done.revived.count, done.replayed) == (3, 4, 0, False)
        await page("""
            check   web/a one two                        -> stale quarantined, …; stale quarantined, …; fresh
            check   three pay                            -> stale unsupported, …; stale unsupported, …
            remediation                                  -> needs pay@1 by @9 @11
        """)
        revocations = await page.ledger.entries(kinds=["revocation"])
        assert {(one.mode, one.reason, one.actor) for one in revocations} == {("quarantined", "was injected", "ops")}

    async def test_what_is_withdrawn_so_already_is_left_out(self, page: Page) -> None:
        """Planned again there is nothing left; in another mode there is."""
        await page(POISONED)
        await page.ledger.withdraw(await page.ledger.plan_withdrawal(actor="x"))
        again = await page.ledger.plan_withdrawal(actor="x")
        assert (again.count, again.impact.fell.count) == (0, 0)
        assert (await page.ledger.withdraw(again)).count == 0
        assert (await page.ledger.plan_withdrawal(actor="x", mode="wrong_from_birth")).targets == ("@1", "@5", "@8")
        await page("entries revocation                   -> @9 @10 @11")

    async def test_a_plan_that_is_another_by_now(self, page: Page) -> None:
        """It is refused when it would withdraw or fell anything else than was shown; what is apart matters not."""
        await page(POISONED)
        plan = await page.ledger.plan_withdrawal(actor="x")
        await page("record  belief apart 1 because docs/b by ann -> @9 recorded fresh")
        assert (await page.ledger.plan_withdrawal(actor="x")).digest == plan.digest
        for line in ("record  belief four 1 because one by ann", "record  belief five 1 by x"):
            await page(line)
            with pytest.raises(ImpactChanged) as moved:
                await page.ledger.withdraw(plan)
            plan = await page.ledger.plan_withdrawal(actor="x")
            assert moved.value.details == {"field": "plan", "impact": plan.digest}
        await page("entries revocation                   -> none")
        assert (await page.ledger.withdraw(plan)).count == 4

    async def test_the_same_withdrawal_again(self, page: Page) -> None:
        """Under the same idempotency key it is answered as it was, though nothing is left to withdraw (law 11)."""
        await page(POISONED)
        plan = await page.ledger.plan_withdrawal(actor="x", reason="why")
        first = await page.ledger.withdraw(plan, idempotency_key="once")
        again = await page.ledger.withdraw(plan, idempotency_key="once")
        assert (again.replayed, again.revision) == (True, first.revision)
        assert (again.count, again.fell, again.revived) == (first.count, first.fell, first.revived)
        other = await page.ledger.plan_withdrawal(actor="ann")
        with pytest.raises(Refused) as used:
            await page.ledger.withdraw(other, idempotency_key="once")
        assert used.value.code == "idempotency_conflict"

    async def test_whatever_rests_on_a_source(self, page: Page) -> None:
        """A filter by source leaves what rests on it, directly or not, and not the source itself."""
        await page(POISONED)
        resting = await page.ledger.entries(resting_on="web/a")
        assert [one.id for one in resting] == ["@3", "@4", "@6", "@7", "@8"]
        plans: list[WithdrawalPlan] = [
            await page.ledger.plan_withdrawal(resting_on="one@1"),
            await page.ledger.plan_withdrawal(resting_on="web/a", kinds=["mutation"]),
            await page.ledger.plan_withdrawal(resting_on="@5", actor="ann"),
        ]
        assert [plan.targets for plan in plans] == [("@6", "@7"), ("@7",), ()]
        await page("revoke web/a -> @9 revoked …")
        assert (await page.ledger.plan_withdrawal(resting_on="web/a", state="stale")).targets == ("@6", "@7", "@8")

    async def test_erasing_many(self, page: Page) -> None:
        """An erasure goes on to what shares the content, which is not erased twice; support has none to erase."""
        await page("""
            record  belief a "secret" by x               -> @1 recorded fresh
            record  belief a "other" by ann              -> @2 recorded fresh, fell a@1
            record  belief a "secret" restate by x       -> @3 recorded fresh, fell a@2
            record  belief b 1 because a by ann          -> @4 recorded fresh
            record  belief b 1 because a@2 by x          -> @5 justified fresh
        """)
        plan = await page.ledger.plan_withdrawal(actor="x", mode="erased")
        assert plan.targets == ("@1",)
        assert (await page.ledger.withdraw(plan)).count == 1
        assert (await page.ledger.plan_withdrawal(actor="x", mode="erased")).count == 0
        await page("""
            content a@1                                  -> nothing
            content a@3                                  -> nothing
            content a@2                                  -> "other"
        """)

    async def test_a_withdrawal_of_everything_is_none(self, page: Page) -> None:
        """Without a filter, with one that only narrows others, or in a mode there is none of, nothing is planned."""
        await page(POISONED)
        for asked, field in (
            ({}, "filter"),
            ({"current": True}, "filter"),
            ({"state": "fresh", "current": True}, "filter"),
            ({"actor": "x", "mode": "gone"}, "mode"),
            ({"kinds": ["guess"]}, "kinds"),
        ):
            await _is_malformed(page, asked, field)

    @pytest.mark.parametrize(
        "field", ["key_prefix", "actor", "about", "resting_on", "recorded_since", "state", "kinds"]
    )
    async def test_an_empty_filter_is_none(self, page: Page, field: str) -> None:
        """What is empty names nothing, alone and beside another filter: as a prefix it would fit every key."""
        await page(POISONED)
        empty: Any = [] if field == "kinds" else ""
        await _is_malformed(page, {field: empty}, field)
        await _is_malformed(page, {"recorded_before": "2100-01-01T00:00:00Z", field: empty}, field)


async def _is_malformed(page: Page, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(Malformed) as refused:
        await page.ledger.plan_withdrawal(**asked)
    assert refused.value.details["field"] == field
