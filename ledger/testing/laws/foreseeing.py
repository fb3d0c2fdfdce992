"""What commands would do, told before they do it."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.errors import ImpactChanged, Refused
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
