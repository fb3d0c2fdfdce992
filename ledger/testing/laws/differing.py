"""Law 12, between two pasts: what was recorded, withdrawn and reinstated, what fell and revived, and by what."""

from __future__ import annotations

import pytest

from ledger.clock import SECOND, format_moment
from ledger.errors import ForeignRevision, Malformed, NoSuchLedger
from ledger.model.canonical import digest_of
from ledger.model.view import EditionHistory, KeyPair, KeyStanding, LedgerDiff, Turned
from ledger.testing.desk import Desk
from ledger.testing.page import Page


class Differing:
    """Law 12."""

    async def test_what_is_different_between_two_revisions(self, page: Page, desk: Desk) -> None:
        """Law 12: `diff` tells what was recorded, withdrawn, reinstated, and what fell and revived by which entry."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            record     dependency q 1                        -> @3 recorded fresh
            revoke     q                                     -> @4 revoked stale revoked, fell q@1
        """)
        before = page.ledger.revision
        await page("""
            record     dependency p 2                        -> @5 recorded fresh, fell p@1 b@1
            record     dependency p 3 amends 2               -> @6 amended fresh
            record     dependency r 1                        -> @7 recorded fresh
            revoke     r quarantined                         -> @8 revoked stale quarantined, fell r@1
            reinstate  q                                     -> @9 reinstated fresh, revived q@1
            verify     q 2                                   -> @10 diverged stale diverged, fell q@1
            verify     q 1                                   -> @11 verified fresh, revived q@1
        """)
        after = page.ledger.revision
        await page("revoke     q                             -> @12 revoked stale revoked, fell q@1")
        for _ in range(2):
            found = await page.ledger.diff(before, after)
            assert (found.since.revision, found.to.revision) == (before, after)
            assert _entries(found) == {
                "recorded": ["@5 fresh amended", "@7 stale quarantined"],
                "amended": ["@6 fresh"],
                "withdrawn": ["@8"],
                "reinstated": ["@9"],
                "noted": ["@10", "@11"],
            }
            assert [_told(one) for one in found.fallen.first] == ["p@1 superseded by @5", "b@1 unsupported by @5"]
            assert [_told(one) for one in found.revived.first] == ["q@1 by @11"]
            assert found.fallen.first[1].verdict.cause == "@5"
            page = await desk.reopen(page)
        now = await page.ledger.diff(before)
        assert now.to.revision == page.ledger.revision
        assert (now.revived.count, now.fallen.count, now.withdrawn.count) == (0, 2, 2)

    async def test_what_nobody_could_see_is_not_what_did_it(self, page: Page) -> None:
        """Law 10: what revived and fell again within one batch fell when it first did, for `diff` as for `history`."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
        """)
        before = page.ledger.revision
        await page("""
            revoke     p                                     -> @2 revoked stale revoked, fell p@1
            batch
              reinstate p
              revoke    p quarantined
        """)
        [fallen] = (await page.ledger.diff(before)).fallen.first
        assert _told(fallen) == "p@1 quarantined by @2"
        [edition] = (await page.ledger.history("p")).editions.last
        assert [state.since.entry for state in edition.states.last] == ["@1", "@2", "@4"]

    async def test_what_time_alone_makes_different(self, page: Page) -> None:
        """Law 7: between two moments what expired fell by time, at the moment it was due; renewed, it revives."""
        begun_us = page.clock.now_us

        def moment(seconds: int) -> str:
            return format_moment(begun_us + seconds * SECOND)

        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            wait       30s
            record     dependency p 1 valid_until +60s       -> @4 repeated fresh, revived p@1 b@1
            wait       10s
        """)
        found = await page.ledger.diff(moment(5), moment(15))
        assert found.since.revision == found.to.revision
        assert not any(_entries(found).values())
        assert [_told(one) for one in found.fallen.first] == ["p@1 expired by time", "b@1 unsupported by time"]
        assert {one.event.at for one in found.fallen.first} == {moment(10)}
        found = await page.ledger.diff(moment(15), moment(35))
        assert [_told(one) for one in found.revived.first] == ["p@1 by @4", "b@1 by @4"]
        assert [entry.kind for entry in found.noted.first] == ["expiry", "verification"]
        across = await page.ledger.diff(moment(5), moment(35))
        assert (across.fallen.count, across.revived.count) == (0, 0)

    async def test_lists_are_bounded_and_counts_are_whole(self, page: Page) -> None:
        """Law 12: a difference names the first of each list, and counts all."""
        await page("record     dependency p 1                -> @1 recorded fresh")
        await page.ledger.apply(
            [{"op": "record", "kind": "belief", "content": n, "because": [["p"]]} for n in range(5)]
        )
        before = page.ledger.revision
        await page.ledger.apply([{"op": "record", "kind": "decision", "content": n} for n in range(3)])
        await page.ledger.revoke("p")
        found = await page.ledger.diff(before, limit=2)
        assert (found.recorded.count, [entry.id for entry in found.recorded.first]) == (3, ["@7", "@8"])
        assert (found.fallen.count, [one.verdict.ref for one in found.fallen.first]) == (6, ["p@1", "@2"])
        assert all(entry.content is None for entry in found.recorded.first)

    async def test_the_states_something_went_through(self, page: Page, desk: Desk) -> None:
        """Law 12: `history` tells of each edition since when it was in which state, and by what entry or by time."""
        begun_us = page.clock.now_us
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     belief b 1 because p                  -> @2 recorded fresh
            wait       5s
            revoke     b quarantined                         -> @3 revoked stale quarantined, fell b@1
            wait       10s
            reinstate  b                                     -> @5 reinstated stale unsupported
            record     dependency p 1 valid_until +60s -> @6 repeated fresh, revived p@1 b@1
            wait       5s
        """)
        before = page.ledger.revision
        await page("""
            record     belief b 2 because p                  -> @7 recorded fresh, fell b@1
            batch
                record dependency p 2                        -> @8 recorded stale wrong_from_birth, fell p@1 b@2
                revoke p wrong_from_birth                    -> @9 revoked stale wrong_from_birth, …
        """)
        for _ in range(2):
            found = await page.ledger.history("b")
            assert [entry.id for entry in found] == [entry.id for entry in found.entries] == ["@2", "@3", "@5", "@7"]
            assert found.revision == page.ledger.revision
            first, second = found.editions.last
            assert (found.editions.count, first.id, first.ref, second.id) == (2, "@2", "b@1", "@7")
            assert _states(first) == [
                "fresh by @2 until @3",
                "stale quarantined by @3 until @5, cause @3",
                "stale unsupported by @5 until @6, cause @1",
                "fresh by @6 until @7",
                "stale superseded by @7, cause @7",
            ]
            assert first.states.last[0].since.at == format_moment(begun_us)
            assert _states(second) == ["fresh by @7"], "what lasted within a batch was never seen"
            (p_1, p_2) = (await page.ledger.history("p@1")).editions.last
            assert _states(p_1) == ["fresh by @1 until time", "stale expired by time until @6, cause @1", "fresh by @6"]
            assert p_1.states.last[1].since.at == format_moment(begun_us + 10 * SECOND)
            assert _states(p_2) == ["stale wrong_from_birth by @9, cause @9"]
            then = await page.ledger.history("b", at=before)
            assert (then.editions.count, then.revision, len(then)) == (1, before, 3)
            assert _states(then.editions.last[0])[3:] == ["fresh by @6"]
            page = await desk.reopen(page)

    async def test_two_ledgers_key_by_key(self, page: Page, desk: Desk) -> None:
        """Law 12: `compare` tells of two ledgers which keys one alone has, and which say something else, or stand
        otherwise; each as of now or a past."""
        other = await desk.open(".other")
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency r 1                        -> @3 recorded fresh
            record     belief only-here 1                    -> @4 recorded fresh
            record     belief - 1                            -> @5 recorded fresh
        """)
        before = page.ledger.revision
        await page("""
            record     dependency q 2                        -> @6 recorded fresh, fell q@1
            revoke     r quarantined                         -> @7 revoked stale quarantined, fell r@1
        """)
        await other("""
            record     belief only-there/2 1                 -> @1 recorded fresh
            record     belief only-there/1 1                 -> @2 recorded fresh
            record     dependency p 1                        -> @3 recorded fresh
            record     dependency q 1                        -> @4 recorded fresh
            record     dependency r 1                        -> @5 recorded fresh
        """)
        for _ in range(2):
            found = await page.ledger.compare(other.ledger.name)
            assert (found.here.revision, found.there.revision) == (page.ledger.revision, other.ledger.revision)
            assert [pair.key for pair in found.only_here.first] == ["only-here"]
            assert [pair.key for pair in found.only_there.first] == ["only-there/1", "only-there/2"]
            assert found.only_there.first[0].there == KeyStanding("only-there/1@1", "@2", digest_of(1), "fresh")
            assert [_sides(pair) for pair in found.content.first] == ["q@2 fresh, q@1 fresh"]
            assert [_sides(pair) for pair in found.verdict.first] == ["r@1 stale quarantined, r@1 fresh"]
            assert found.same == 1
            short = await page.ledger.compare(other.ledger.name, at=before, limit=1)
            assert (short.only_there.count, len(short.only_there.first), short.same) == (2, 1, 3)
            assert short.here.revision == before
            itself = await page.ledger.compare(page.ledger.name, other_at=before)
            assert (itself.same, itself.content.count, itself.verdict.count) == (2, 1, 1)
            page = await desk.reopen(page)
        with pytest.raises(NoSuchLedger):
            await page.ledger.compare(page.ledger.name + ".none")
        with pytest.raises(ForeignRevision) as caught:
            await page.ledger.compare(other.ledger.name, other_at=before)
        assert caught.value.details["field"] == "other_at"

    async def test_what_can_not_be_compared(self, page: Page, desk: Desk) -> None:
        """Law 12: the later past comes second, both are of this ledger, and each is named when it is wrong."""
        first = (await page.ledger.record("belief", 1, key="a")).revision
        second = (await page.ledger.record("belief", 2, key="a")).revision
        assert (await page.ledger.diff(first, first)).recorded.count == 0
        for pasts, field in (((second, first), "from"), (("yesterday",), "from"), ((first, "tomorrow"), "to")):
            with pytest.raises(Malformed) as caught:
                await page.ledger.diff(*pasts)
            assert caught.value.details["field"] == field
            assert caught.value.message.startswith(field)
        with pytest.raises(ForeignRevision):
            await page.ledger.diff(f"{page.ledger.name}@1.00000000")
        with pytest.raises(ForeignRevision):
            await page.ledger.diff(first, f"other@2.{second[-8:]}")


def _entries(found: LedgerDiff) -> dict[str, list[str]]:
    told = {}
    for name in ("recorded", "amended", "withdrawn", "reinstated", "noted"):
        listed = getattr(found, name)
        assert listed.count == len(listed.first)
        told[name] = [
            " ".join(filter(None, (entry.id, *((entry.verdict.state, entry.verdict.reason) if entry.verdict else ()))))
            for entry in listed.first
        ]
    return told


def _told(turned: Turned) -> str:
    verdict = turned.verdict
    reason = f" {verdict.reason}" if verdict.reason else ""
    return f"{verdict.ref}{reason} by {turned.event.entry or 'time'}"


def _states(edition: EditionHistory) -> list[str]:
    told = []
    for one in edition.states.last:
        until = "" if one.until is None else f" until {one.until.entry or 'time'}"
        cause = "" if one.cause is None else f", cause {one.cause}"
        told.append(f"{one.state} {one.reason or ''}".strip() + f" by {one.since.entry or 'time'}{until}{cause}")
    assert edition.states.count == len(told)
    return told


def _sides(pair: KeyPair) -> str:
    sides = [side for side in (pair.here, pair.there) if side is not None]
    return ", ".join(f"{side.ref} {side.state} {side.reason or ''}".strip() for side in sides)
