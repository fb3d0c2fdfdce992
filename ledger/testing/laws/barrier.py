"""Law 9: what is acknowledged is seen here at once, and elsewhere by whoever asks; what is not known is not fresh."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ledger.app import Ledger
from ledger.errors import Behind, ForeignRevision, Malformed
from ledger.testing.desk import Desk
from ledger.testing.line import Line
from ledger.testing.page import Page

SELDOM_S = 100_000.0


class Barrier:
    """Law 9."""

    async def test_an_acknowledged_revocation_is_seen(self, page: Page) -> None:
        """Law 9: once a revocation is acknowledged, no check in this process is fresh for what it fells."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 because p          -> @2 recorded fresh
        """)
        for turn in range(20):
            revoked = await page.ledger.revoke("p")
            report = await page.ledger.check(["p", "b"])
            assert [verdict.state for verdict in report.verdicts] == ["stale", "stale"], turn
            assert report.revision == revoked.revision
            await page.ledger.reinstate("p")

    async def test_each_caller_sees_its_own(self, page: Page) -> None:
        """Law 9: the same when many write at once."""

        async def come_and_go(number: int) -> list[str]:
            key = f"p/{number}"
            await page.ledger.record("dependency", number, key=key)
            await page.ledger.record("belief", number, key=f"b/{number}", because=[[key]])
            await page.ledger.revoke(key)
            return [verdict.state for verdict in (await page.ledger.check([key, f"b/{number}"])).verdicts]

        assert await asyncio.gather(*map(come_and_go, range(20))) == [["stale", "stale"]] * 20
        assert (await page.ledger.status()).head == 60

    async def test_an_answer_names_its_revision(self, page: Page) -> None:
        """Law 9: an answer always names the revision it holds for."""
        results = [await page.ledger.record("belief", number, key="a") for number in range(3)]
        report = await page.ledger.check(["a"])
        assert report.revision == results[-1].revision == page.ledger.revision
        assert [result.revision.rpartition("@")[2].partition(".")[0] for result in results] == ["1", "2", "3"]

    async def test_without_an_event_loop(self, desk: Desk) -> None:
        """Law 9: the same for callers without an event loop, who check without waiting."""
        with Ledger.open(await desk.store(), desk.name, clock=desk.clock) as ledger:
            ledger.record("dependency", 1, key="p")
            ledger.record("belief", 1, key="b", because=[["p"]])
            for _ in range(10):
                assert ledger.check(["b"]).fresh == ["b"]
                ledger.revoke("p")
                assert ledger.check(["b"]).fresh == []
                ledger.reinstate("p")
            assert ledger.audit().ok

    async def test_two_processes_write_to_one_ledger(self, page: Page, desk: Desk) -> None:
        """Law 9: the log has one order; each process judges on top of what the others wrote."""
        other = await desk.open()
        await page("record dependency p 1                     -> @1 recorded fresh")
        await desk.until_heard(other, 1)
        await other("record belief b 1 because p              -> @2 recorded fresh")
        await page("revoke p                                  -> @3 revoked stale revoked, fell p@1 b@1")
        await other("record decision d 1 because b            -> @4 recorded stale unsupported")
        await page("record dependency p 1                     -> @5 withheld stale revoked, stands @3")
        await desk.until_heard(other, 5)
        await other("check p b d -> stale revoked, cause @3; stale unsupported, cause @3; stale unsupported, cause @3")

    async def test_a_refusal_is_judged_at_the_head(self, page: Page, desk: Desk) -> None:
        """Law 9: nothing is refused for what another process wrote and this one has not heard of."""
        other = await desk.open(store=Line(await desk.store(), poll_s=SELDOM_S), max_lag_s=SELDOM_S)
        await page("record dependency p 1                     -> @1 recorded fresh")
        await other("record belief b 1 because p              -> @2 recorded fresh")
        await page("revoke p                                  -> @3 revoked stale revoked, fell p@1 b@1")
        await other("reinstate p                              -> @4 reinstated fresh, revived p@1 b@1")

    async def test_two_processes_write_at_once(self, page: Page, desk: Desk) -> None:
        """Law 9: nothing is lost and nothing stands twice when two processes write at the same time."""
        other = await desk.open()

        async def write(ledger: Page, name: str) -> list[str]:
            results = [await ledger.ledger.record("belief", number, key=name) for number in range(15)]
            return [result.entry for result in results]

        one, two = await asyncio.gather(write(page, "one"), write(other, "two"))
        assert sorted(one + two) == sorted(f"@{seq}" for seq in range(1, 31))
        await desk.until_heard(page, 30)
        await desk.until_heard(other, 30)
        await page("check one@15 two@15 -> fresh; fresh")
        await other("check one@15 two@15 -> fresh; fresh")

    async def test_the_new_enemy(self, page: Page, desk: Desk) -> None:
        """Law 9: revoked here, checked there with the token: there it is not fresh either, however seldom it looks."""
        other = await desk.open(store=Line(await desk.store(), poll_s=SELDOM_S), max_lag_s=SELDOM_S)
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     belief b 1 because p          -> @2 recorded fresh
        """)
        for turn in range(5):
            stood = (await page.ledger.check(["b"])).revision
            assert (await other.ledger.check(["b"], at_least=stood)).fresh == ["b"]
            revoked = await page.ledger.revoke("p")
            unaware = await other.ledger.check(["b"])
            assert (unaware.fresh, unaware.revision) == (["b"], stood), "it looks too often for this test"
            report = await other.ledger.check(["p", "b"], at_least=revoked.revision)
            assert [verdict.reason for verdict in report.verdicts] == ["revoked", "unsupported"], turn
            assert report.revision == revoked.revision
            await page.ledger.reinstate("p")

    async def test_every_read_takes_a_revision(self, page: Page, desk: Desk) -> None:
        """Law 9: no read that names a revision is older than that."""
        await page("record belief a first                    -> @1 recorded fresh")
        other = await desk.open(store=Line(await desk.store(), poll_s=SELDOM_S), max_lag_s=SELDOM_S)
        ledger = other.ledger
        reads: list[Callable[[str], Awaitable[object]]] = [
            lambda token: ledger.why("a", at_least=token),
            lambda token: ledger.entry("a", at_least=token),
            lambda token: ledger.entries(at_least=token),
            lambda token: ledger.history("a", at_least=token),
            lambda token: ledger.diff(f"{desk.name}@0.00000000", at_least=token),
            lambda token: ledger.compare(desk.name, at_least=token),
            lambda token: ledger.causes("a", at_least=token),
            lambda token: ledger.consequences("a", at_least=token),
            lambda token: ledger.remediation(at_least=token),
        ]
        for number, read in enumerate(reads):
            revision = (await page.ledger.record("belief", number, key="a")).revision
            assert ledger.revision != revision
            await read(revision)
            assert ledger.revision == revision

    async def test_full_consistency(self, page: Page, desk: Desk) -> None:
        """Law 9: a check that asks for full consistency sees all that was acknowledged before it was asked."""
        other = await desk.open(store=Line(await desk.store(), poll_s=SELDOM_S), max_lag_s=SELDOM_S)
        await page("record dependency p 1                    -> @1 recorded fresh")
        assert (await other.ledger.check(["p"], full=True)).fresh == ["p"]
        await page("revoke p                                 -> @2 revoked stale revoked, fell p@1")
        assert (await other.ledger.check(["p"], full=True)).withheld[0].cause == "@2"

    async def test_a_revision_that_does_not_come(self, page: Page, desk: Desk) -> None:
        """Law 9: a revision not heard of in time makes every reference unknown, and other reads an error."""
        await page("record dependency p 1                    -> @1 recorded fresh")
        other = await desk.open(reach_s=0.1)
        ahead = f"{desk.name}@5.00c0ffee"
        report = await other.ledger.check(["p", "@1", "nowhere"], at_least=ahead)
        assert [(verdict.state, verdict.reason) for verdict in report.verdicts] == [("unknown", "behind")] * 3
        assert (report.fresh, report.revision) == ([], page.ledger.revision)
        with pytest.raises(Behind) as caught:
            await other.ledger.why("p", at_least=ahead)
        assert caught.value.retry
        assert (await other.ledger.check(["p"])).fresh == ["p"]

    async def test_a_revision_that_comes_while_it_is_waited_for(self, page: Page, desk: Desk) -> None:
        """Law 9: a check waits for the revision it names."""
        other = await desk.open(reach_s=30)
        copied = await desk.copy(page)
        await copied("record dependency p 1                  -> @1 recorded fresh")
        ahead = copied.ledger.revision.replace(copied.ledger.name, desk.name)
        waiting = asyncio.create_task(other.ledger.check(["p"], at_least=ahead))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await page("record dependency p 1                    -> @1 recorded fresh")
        assert (await waiting).fresh == ["p"]

    async def test_another_history(self, page: Page, desk: Desk) -> None:
        """Law 9: the token of another ledger or of another history is refused, of a restored back-up for one."""
        await page("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency p 2                -> @2 recorded fresh, fell p@1
            record     dependency p 3                -> @3 recorded fresh, fell p@2
        """)
        fork = await desk.open(".fork")
        await fork("""
            record     dependency p 1                -> @1 recorded fresh
            record     dependency p 4                -> @2 recorded fresh, fell p@1
        """)
        theirs = fork.ledger.revision
        for token in (theirs, theirs.replace(fork.ledger.name, desk.name), f"{desk.name}@3.00000000"):
            with pytest.raises(ForeignRevision):
                await page.ledger.check(["p"], at_least=token)
            with pytest.raises(ForeignRevision):
                await page.ledger.entry("p", at_least=token)

    async def test_what_is_no_revision(self, page: Page) -> None:
        """Law 9: what is no token is malformed, and the error names its field."""
        for token in (
            "",
            "main",
            "main@1",
            "@1",
            "main@1.9F3C1A2B",
            "main@01.9f3c1a2b",
            "main@-1.9f3c1a2b",
            "p@1.9f3c",
        ):
            with pytest.raises(Malformed) as caught:
                await page.ledger.check(["p"], at_least=token)
            assert caught.value.details["field"] == "at_least"

    async def test_before_the_first_entry(self, page: Page) -> None:
        """Law 9: an empty ledger has a revision as well."""
        empty = page.ledger.revision
        await page("record dependency p 1                    -> @1 recorded fresh")
        assert (await page.ledger.check(["p"], at_least=empty)).fresh == ["p"]

    async def test_cut_off_from_the_store(self, page: Page, desk: Desk) -> None:
        """Law 9: who has not heard from the store for `max_lag_s` calls nothing fresh until he hears again."""
        line = Line(await desk.store(), poll_s=0.1)
        other = await desk.open(store=line, max_lag_s=1.5)
        await page("record dependency p 1                    -> @1 recorded fresh")
        await desk.until_heard(other, 1)
        line.cut = True
        assert (await other.ledger.check(["p"])).fresh == ["p"], "what is known is good for a while"
        assert (await other.ledger.check(["p"], full=True)).withheld[0].reason == "behind"
        await page("revoke p                                 -> @2 revoked stale revoked, fell p@1")
        await asyncio.sleep(1.6)
        for at_least in (None, f"{desk.name}@0.00000000"):
            report = await other.ledger.check(["p", "@1"], at_least=at_least)
            assert [(verdict.state, verdict.reason) for verdict in report.verdicts] == [("unknown", "behind")] * 2
        with pytest.raises(Behind):
            await other.ledger.entry("p")
        line.cut = False
        await other("check p                                 -> stale revoked, cause @2")

    async def test_a_revision_without_an_event_loop(self, page: Page, desk: Desk) -> None:
        """Law 9: callers without an event loop name revisions too."""
        store = Line(await desk.store(), poll_s=SELDOM_S)

        def check_beside(*tokens: str) -> list[list[str]]:
            with Ledger.open(store, desk.name, clock=desk.clock, max_lag_s=SELDOM_S) as ledger:
                found = [ledger.check(["p"], at_least=token).fresh for token in tokens]
                with pytest.raises(ForeignRevision):
                    ledger.check(["p"], at_least=f"{desk.name}@1.00000000")
                return [*found, ledger.check(["p"], full=True).fresh]

        first = (await page.ledger.record("dependency", 1, key="p")).revision
        last = (await page.ledger.record("belief", 1, key="b")).revision
        assert await asyncio.to_thread(check_beside, first, last) == [["p"]] * 3
