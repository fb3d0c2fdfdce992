"""Laws 12 and 13: nothing is edited, the chain holds, and a ledger can be carried elsewhere."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import rfc8785
from msgspec.structs import replace

from ledger.app import AsyncLedger
from ledger.clock import SECOND, format_moment
from ledger.errors import Corrupt, ForeignRevision, LedgerError, Malformed, NoSuchLedger
from ledger.model.canonical import digest_of
from ledger.model.entry import Dependency, Sealed, seal
from ledger.store.base import PAGE_ENTRIES, Store
from ledger.testing.clock import ManualClock
from ledger.testing.desk import Desk, standing
from ledger.testing.page import Page

UNTOLD = ("9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+14:00")
"""Moments outside the years 1 to 9999 in UTC."""

EVERYTHING = """
    record     dependency policy {"limit": 500} by alice         -> @1 recorded fresh
    record     dependency notes "old" valid_until +30s at -1h    -> @2 recorded fresh
    record     belief ok true because policy & notes             -> @3 recorded fresh
    record     approval go 1 because ok cites notes              -> @4 recorded fresh
    record     mutation pay 500 because go at -5s                -> @5 recorded fresh
    batch idempotency_key whole
        record decision - "anything" because go | notes          -> @6 recorded fresh
        record dependency policy {"limit": 500}                  -> @7 repeated fresh
    wait       10s
    record     dependency policy {"limit": 501} amends 1         -> @8 amended fresh
    record     belief ok true because notes                      -> @9 justified fresh
    verify     notes "new" at -3s              -> @10 diverged stale diverged, fell notes@1 ok@1 go@1 pay@1 @6
    record dependency notes "old" valid_until +1m -> @11 repeated fresh, revived notes@1 ok@1 go@1 pay@1 @6
    record     dependency rules "all" supersedes policy          -> @12 recorded fresh, fell policy@2
    reinstate  policy lifts @12                                  -> @13 reinstated fresh, revived policy@2
    revoke     @9 reason "not so"                                -> @14 revoked fresh
    wait       10s
    revoke     policy effective_at -15s idempotency_key oops   -> @15 revoked …, fell policy@2 ok@1 go@1 pay@1
    revoke     policy quarantined                                -> @16 revoked stale quarantined
    batch
        record dependency policy {"limit": 501}               -> … withheld stale quarantined, stands @15 @16…
        record dependency rules "all"                            -> … repeated fresh
        record dependency policy {"limit": 200}                  -> @17 recorded stale diverged
        record dependency policy {"limit": 500}          -> … condemned stale quarantined, stands @15 @16, fell policy@3
    record     dependency policy {"limit": 200}                  -> …
    revoke     rules wrong_from_birth                            -> …
    record     dependency rules "some" restate                   -> …
    record     dependency rules "some" restate                   -> …
    record     dependency rules "all"                            -> …
    record     belief secret "hush"                              -> …
    record     belief secret "hush hush" because rules           -> …
    revoke     secret@1 erased                                   -> …
    record     belief secret "hush" restate                      -> …
    wait       1m
    record     context last "words" because notes | rules        -> …
    remediation                                                  -> needs pay@1 by @16
"""


class History:
    """Law 12, as far as the log itself goes."""

    async def test_recorded_at_never_decreases(self, page: Page, desk: Desk) -> None:
        """Law 12: `recorded_at` never decreases, though the machine's clock does."""
        await page("""
            record  dependency p 1 valid_until +10s          -> @1 recorded fresh
            wait    10s
            record  belief a 1                               -> @3 recorded fresh
            wait    -1h
            check   p                                        -> stale expired, cause @1
            record  belief b 1                               -> @4 recorded fresh
        """)
        page = await desk.reopen(page)
        await page("""
            check   p                                        -> stale expired, cause @1
            record  belief c 1                               -> @5 recorded fresh
            wait    1h
        """)
        moments = [entry.recorded_at for entry in await page.ledger.entries()]
        assert moments == sorted(moments)

    async def test_recorded_at_never_decreases_between_processes(self, page: Page, desk: Desk) -> None:
        """Law 12: nor when another process goes by a clock that is late."""
        late = ManualClock()
        late.wait(-3_600)
        other = await desk.open(clock=late)
        await page("record belief a 1                                -> @1 recorded fresh")
        await other("record belief b 1                               -> @2 recorded fresh")
        moments = {entry.recorded_at for entry in await other.ledger.entries()}
        assert moments == {"2026-01-01T00:00:00.000000Z"}

    async def test_nothing_is_edited(self, page: Page) -> None:
        """Law 12: entries stay as they were recorded, whatever is said of them later."""
        await page("record dependency p 1 -> @1 recorded fresh")
        before = [line async for line in page.ledger.export(entries=True)]
        await page("""
            record  dependency p 2 amends 1                  -> @2 amended fresh
            revoke  p wrong_from_birth                       -> @3 revoked stale wrong_from_birth, fell p@2
            record  dependency p 1                           -> @4 condemned stale wrong_from_birth, stands @3
        """)
        assert [line async for line in page.ledger.export(entries=True)][:1] == before

    async def test_history_tells_everything_of_a_key(self, page: Page) -> None:
        """Law 12: the history of a key holds its versions and all events about them."""
        await page("""
            record     dependency p 1                        -> @1 recorded fresh
            record     dependency q 1                        -> @2 recorded fresh
            record     dependency p 2                        -> @3 recorded fresh, fell p@1
            verify     p 2 & q 1                             -> @4 verified fresh
            revoke     p                                     -> @5 revoked stale revoked, fell p@2
            record     dependency p 2                        -> @6 withheld stale revoked, stands @5
            reinstate  p                                     -> @7 reinstated fresh, revived p@2
            record     dependency r 1 supersedes p           -> @8 recorded fresh, fell p@2
        """)
        assert [entry.id for entry in await page.ledger.history("p")] == [
            "@1",
            "@3",
            "@4",
            "@5",
            "@6",
            "@7",
            "@8",
        ]
        assert [entry.id for entry in await page.ledger.history("q")] == ["@2", "@4"]

    async def test_a_process_that_starts_later_knows_the_same(self, page: Page, desk: Desk) -> None:
        """Law 12: everything a ledger says comes from its log."""
        await page(EVERYTHING)
        before = await standing(page)
        page = await desk.reopen(page)
        assert await standing(page) == before

    async def test_only_writing_creates(self, desk: Desk) -> None:
        """Law 12: reading a ledger that does not exist is an error and creates nothing."""
        page = await desk.open(".new")
        await page("check p -> unknown not_found")
        await desk.close(page)
        with pytest.raises(NoSuchLedger):
            await desk.open(".new", create=False)
        page = await desk.open(".new")
        await page("record belief a 1 -> @1 recorded fresh")
        await desk.close(page)
        page = await desk.open(".new", create=False)
        await page("check a -> fresh")

    async def test_nothing_crosses_two_ledgers(self, page: Page, desk: Desk) -> None:
        """Law 12: ledgers of one place know nothing of each other."""
        other = await desk.open(".other")
        await page("record belief a 1 idempotency_key k      -> @1 recorded fresh")
        await other("check a @1                              -> unknown not_found; unknown not_found")
        await other("record belief b 1 because a             -> refused not_found")
        await other("record decision a 2 idempotency_key k   -> @1 recorded fresh")
        await page("record belief b 1 because a              -> @2 recorded fresh")
        await other("revoke a                                -> @2 revoked stale revoked, fell a@1")
        await page("check a b                                -> fresh; fresh")

    async def test_a_check_as_of_a_revision(self, page: Page, desk: Desk) -> None:
        """Law 12: a check `at` a revision answers as the ledger would have then, and so after it was opened anew."""
        ledger, limit = page.ledger, format_moment(page.clock.now_us + 60 * SECOND)
        first = await ledger.record("dependency", 1, key="p", valid_until=limit)
        second = await ledger.record("belief", 1, key="b", because=[["p"]])
        page.clock.wait(5)
        third = await ledger.revoke("p")
        fourth = await ledger.reinstate("p")
        page.clock.wait(60)
        fifth = await ledger.record("dependency", 2, key="q")
        expected = {
            first.revision: [("fresh", None, None), ("unknown", "not_found", None)],
            second.revision: [("fresh", None, None), ("fresh", None, None)],
            third.revision: [("stale", "revoked", "@3"), ("stale", "unsupported", "@3")],
            fourth.revision: [("fresh", None, None), ("fresh", None, None)],
            fifth.revision: [("stale", "expired", "@1"), ("stale", "unsupported", "@1")],
        }
        for _ in range(2):
            for revision, verdicts in expected.items():
                report = await page.ledger.check(["p", "b"], at=revision)
                assert report.revision == revision
                assert [(told.state, told.reason, told.cause) for told in report.verdicts] == verdicts
            page = await desk.reopen(page)

    async def test_a_check_as_of_a_moment(self, page: Page) -> None:
        """Law 12: a moment means the last batch recorded by then, and that clock."""
        begun_us = page.clock.now_us
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            wait       20s
            record     dependency p 2                        -> @3 recorded fresh
        """)
        for seconds, entry, told in ((0, 1, None), (9, 1, None), (10, 1, "expired"), (19, 1, "expired"), (20, 3, None)):
            report = await page.ledger.check(["p"], at=format_moment(begun_us + seconds * SECOND))
            assert (report.verdicts[0].id, report.verdicts[0].reason) == (f"@{entry}", told), seconds
            assert report.clock_us == begun_us + seconds * SECOND
        before = await page.ledger.check(["p"], at=format_moment(begun_us - 1))
        assert (before.verdicts[0].reason, before.revision) == ("not_found", f"{page.ledger.name}@0.00000000")

    async def test_what_expires_together_has_expired_before_it_is_noted(self, page: Page) -> None:
        """Law 7: as of the entry that notes one expiry, all that expired by then has, noted or not."""
        await page("""
            record     dependency p 1 valid_until +10s       -> @1 recorded fresh
            record     dependency q 1 valid_until +10s       -> @2 recorded fresh
            record     belief b 1 because q                  -> @3 recorded fresh
            wait       20s
            record     dependency r 1                        -> @6 recorded fresh
        """)
        noted, another, _ = await page.ledger.entries(after=3)
        assert (noted.kind, noted.targets, another.targets) == ("expiry", ("p@1",), ("q@1",))
        report = await page.ledger.check(["p", "q", "b"], at=f"{page.ledger.name}@4.{noted.hash[:8]}")
        assert [verdict.reason for verdict in report.verdicts] == ["expired", "expired", "unsupported"]

    async def test_every_read_as_of_a_revision(self, page: Page, desk: Desk) -> None:
        """Law 12: every read `at` a revision answers what it answered when that was the last one."""
        told = {}
        for step in (
            "record     dependency p 1 valid_until +60s",
            "record     belief b 1 because p",
            "record     mutation m 1 because b",
            "record     dependency p 1",
            "revoke     p quarantined",
            "record     mutation m 2 because b",
            "record     dependency q 1 supersedes p",
            "record     belief b 1 because q",
            "reinstate  p",
            "record     dependency p 2",
        ):
            await page(step)
            told[page.ledger.revision] = await _everything(page.ledger, ["p", "b", "m", "@2"])
            page.clock.wait(10)
        page = await desk.reopen(page)
        for revision, expected in told.items():
            assert await _everything(page.ledger, ["p", "b", "m", "@2"], at=revision) == expected, revision

    async def test_a_batch_has_no_inside(self, page: Page) -> None:
        """Law 10: `at` falls on batch ends."""
        whole = await page.ledger.apply(
            [{"op": "record", "kind": "dependency", "key": key, "content": 1} for key in ("p", "q")]
        )
        first = next(iter(await page.ledger.entries(limit=1)))
        report = await page.ledger.check(["p", "q"], at=f"{page.ledger.name}@1.{first.hash[:8]}")
        assert report.fresh == ["p", "q"]
        assert report.revision == whole.revision

    async def test_what_is_no_past(self, page: Page) -> None:
        """Law 12: a moment to come, or without zone, and a revision of another history are refused."""
        await page("record dependency p 1       -> @1 recorded fresh")
        for at in (format_moment(page.clock.now_us + SECOND), "2026-01-31T09:30:00", "yesterday", *UNTOLD):
            with pytest.raises(Malformed) as caught:
                await page.ledger.check(["p"], at=at)
            assert caught.value.details["field"] == "at"
        with pytest.raises(ForeignRevision):
            await page.ledger.check(["p"], at=f"{page.ledger.name}@1.00000000")

    async def test_moments_that_cannot_be_told(self, page: Page, desk: Desk) -> None:
        """Law 12: a moment outside the years 1 to 9999 in UTC is refused; a log that holds one is read all the same."""
        await page("record dependency p 1       -> @1 recorded fresh")
        for at in UNTOLD:
            for command in (
                {"op": "record", "kind": "dependency", "key": "q", "content": 1, "occurred_at": at},
                {"op": "record", "kind": "dependency", "key": "q", "content": 1, "valid_until": at},
                {"op": "revoke", "target": "p", "effective_at": at},
            ):
                with pytest.raises(Malformed, match="years 1 to 9999") as caught:
                    await page.ledger.apply([command])
                assert caught.value.details["field"] in command
        store, name = await desk.store(), page.ledger.name
        await store.open(create=True)
        head = await store.head(name)
        assert head is not None
        late = Dependency(
            seq=2,
            batch=2,
            recorded_at_us=head.recorded_at_us,
            digest=digest_of(1),
            key="late",
            version=1,
            occurred_at_us=-(10**17),
            valid_until_us=10**18,
        )
        await store.append(name, head, [seal(late, head.hash, "1")])
        await store.close()
        assert (await page.ledger.check(["late"], full=True)).fresh == ["late"]
        told = (await page.ledger.entries())[1]
        assert (told.occurred_at, told.valid_until) == ("0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z")
        assert list(await page.ledger.history("late")) == [told]


class Chain:
    """Law 13."""

    async def test_each_hash_covers_the_entry_and_all_before(self, page: Page) -> None:
        """Law 13: each hash covers the canonical envelope (RFC 8785) and the hash before it."""
        await page(EVERYTHING)
        chain = bytes(32)
        async for line in page.ledger.export(entries=True):
            told = json.loads(line)
            chain = hashlib.sha256(chain + rfc8785.dumps(told["entry"])).digest()
            assert told["hash"] == chain.hex()
            if "content" in told:
                assert told["entry"]["digest"] == digest_of(told["content"])
        assert (await page.ledger.status()).hash == chain.hex()

    async def test_an_audit_beside_writers(self, page: Page) -> None:
        """Law 13: an audit finds nothing wrong in a ledger that is written to meanwhile."""
        await page.ledger.apply([{"op": "record", "kind": "belief", "content": number} for number in range(2_000)])
        done = False

        async def write() -> None:
            number = 0
            while not done:
                number += 1
                await page.ledger.record("belief", number, key=f"k/{number % 7}")

        writing = asyncio.create_task(write())
        for _ in range(5):
            report = await page.ledger.audit()
            assert report.ok, report.problems
            assert report.entries >= 2_000
        done = True
        await writing

    async def test_the_name_is_not_covered(self, page: Page, desk: Desk) -> None:
        """Law 13: the same entries have the same hashes under another name."""
        other = await desk.open(".other")
        for ledger in (page, other):
            await ledger("""
                record  dependency p 1 by alice              -> @1 recorded fresh
                revoke  p                                    -> @2 revoked stale revoked, fell p@1
            """)
        assert (await page.ledger.status()).hash == (await other.ledger.status()).hash
        await page("record belief a 1                        -> @3 recorded fresh")
        await other("record belief a 1 by bob                -> @3 recorded fresh")
        assert (await page.ledger.status()).hash != (await other.ledger.status()).hash

    async def test_audit_finds_nothing_where_nothing_is_wrong(self, page: Page) -> None:
        """Law 13: `audit` computes chain, contents and validity again; where all is well it finds nothing."""
        await page(EVERYTHING)
        report = await page.ledger.audit()
        assert (report.ok, report.entries) == (True, (await page.ledger.status()).head)
        assert report.hash == (await page.ledger.status()).hash

    async def test_audit_finds_what_was_changed(self, desk: Desk) -> None:
        """Law 13: a changed or lost content, a changed envelope, a changed hash: `audit` names each."""
        store = await desk.store()
        page, forger = await desk.open(store=store), Forger(store)
        await page("""
            record  dependency p 500                         -> @1 recorded fresh
            record  belief a 1 because p                     -> @2 recorded fresh
        """)
        forgeries: list[Callable[[Sealed], Sealed]] = [
            lambda first: replace(first, content="5000"),
            lambda first: replace(first, content=None),
            lambda first: replace(first, hash=bytes(32)),
            lambda first: replace(first, envelope=first.envelope.replace(b'"p"', b'"q"')),
            lambda first: replace(first, envelope=first.envelope.replace(b"}", b',"actor":"eve"}')),
        ]
        for forgery in forgeries:
            forger.forgery = forgery
            report = await page.ledger.audit()
            assert not report.ok
            assert "1" in report.problems[0]
        forger.forgery = None


class Carrying:
    """Section 3 of the contract: export, import, restore."""

    async def test_an_import_gives_the_same_numbers_and_states(self, page: Page, desk: Desk) -> None:
        """Interchange: an export, imported into an empty ledger, gives the same numbers and states."""
        await page(EVERYTHING)
        copy = await desk.copy(page)
        assert await standing(copy) == await standing(page)

    async def test_an_import_knows_how_old_things_are(self, page: Page, desk: Desk) -> None:
        """Interchange: what was verified when is carried along."""
        await page("""
            record  dependency p 1                           -> @1 recorded fresh
            record  dependency q 1 at -5s                    -> @2 recorded fresh
            wait    60s
            record  dependency p 1                           -> @3 repeated fresh
            wait    10s
        """)
        copy = await desk.copy(page)
        for each in (page, copy):
            await each("check p q max_age 30s                -> fresh; stale unverified, cause @2")
            await each("check p max_age 5s                   -> stale unverified, cause @3")

    async def test_importing_twice_changes_nothing(self, page: Page, desk: Desk) -> None:
        """Interchange: running an import again completes it and changes nothing else."""
        await page(EVERYTHING)
        copy = await desk.copy(page)
        before = await standing(copy)
        report = await copy.ledger.import_lines([line async for line in page.ledger.export()])
        assert (report.replayed > 0, report.outcomes) == (True, {})
        assert await standing(copy) == before

    async def test_a_copy_exports_the_same(self, page: Page, desk: Desk) -> None:
        """Interchange: what was imported gives the same states when it is carried on."""
        await page(EVERYTHING)
        copy = await desk.copy(page)
        third = await desk.copy(copy, ".third")
        assert await standing(third) == await standing(page)

    async def test_content_that_was_erased_stays_erased(self, page: Page, desk: Desk) -> None:
        """Interchange: for erased content an export gives its digest, and the copy knows it erased."""
        await page("""
            record  dependency p "hush"                      -> @1 recorded fresh
            record  dependency p "hush" restate              -> @2 recorded fresh, fell p@1
            record  dependency p "loud"                      -> @3 recorded fresh, fell p@2
            revoke  p@1 erased                               -> @4 revoked stale erased
            record  dependency p "hush"                      -> @5 condemned stale erased, stands @4, fell p@3
        """)
        copy = await desk.copy(page)
        await copy("""
            check   p@1 p@2 p      -> stale erased, cause @4; stale erased, cause @4; stale diverged, cause @5
            content p@2                                      -> nothing
            record  dependency p "hush"                      -> @6 condemned stale erased, stands @4
            reinstate  p@1                                   -> refused erased_is_final
        """)

    async def test_idempotency_keys_are_carried(self, page: Page, desk: Desk) -> None:
        """Interchange: a withdrawal can be lifted in the copy by the idempotency key it was made with."""
        await page("""
            record     belief a 1                            -> @1 recorded fresh
            revoke     a idempotency_key alarm               -> @2 revoked stale revoked, fell a@1
            revoke     a                                     -> @3 revoked stale revoked
        """)
        copy = await desk.copy(page)
        await copy("reinstate a lifts alarm @3               -> @4 reinstated fresh, revived a@1")

    async def test_a_restored_log_has_the_same_head(self, page: Page, desk: Desk) -> None:
        """Interchange: the verbatim log is restored with the same numbers, times, hashes and states."""
        await page(EVERYTHING)
        verbatim = [line async for line in page.ledger.export(entries=True)]
        copy = await desk.open(".restored")
        head = await copy.ledger.restore(verbatim)
        assert head.hash.hex() == (await page.ledger.status()).hash
        assert await standing(copy) == await standing(page)
        assert [line async for line in copy.ledger.export(entries=True)] == verbatim
        assert await copy.ledger.restore(verbatim) == head
        await copy("revoke policy@1 effective_at -15s idempotency_key oops -> refused idempotency_conflict")

    async def test_a_forged_log_is_not_restored(self, page: Page, desk: Desk) -> None:
        """Interchange: `restore` verifies every hash and content, and names the line."""
        await page("""
            record  dependency p "yes"                       -> @1 recorded fresh
            record  belief b 1 because p                     -> @2 recorded fresh
            record  belief c 1 because b                     -> @3 recorded fresh
        """)
        first, second, third = [line async for line in page.ledger.export(entries=True)]
        copy = await desk.open(".restored")
        for forged in (
            [first.replace(b'"yes"', b'"no"'), second],
            [first.replace(b'"key":"p"', b'"key":"q"'), second],
            [second],
            [first, third],
        ):
            with pytest.raises(Corrupt) as found:
                await copy.ledger.restore(forged)
            assert found.value.details["line"] in (1, 2)
        await copy("entries -> none")
        await copy.ledger.restore([first, second, third])
        await copy("check c -> fresh")


class Forger:
    """Somebody who changed the first entry of a log in its store."""

    def __init__(self, store: Store) -> None:
        self.forgery: Callable[[Sealed], Sealed] | None = None
        self._read = store.read
        store.read = self.read  # type: ignore[method-assign]

    async def read(self, ledger: str, after: int, limit: int = PAGE_ENTRIES, *, content: bool = False) -> list[Sealed]:
        found = await self._read(ledger, after, limit, content=content)
        if self.forgery is None or not content or after:
            return found
        return [self.forgery(found[0]), *found[1:]]


async def _everything(ledger: AsyncLedger, refs: list[str], at: str | None = None) -> list[object]:
    """What all reads tell, a refusal as its code."""

    async def told(read: Awaitable[Any]) -> object:
        try:
            return await read
        except LedgerError as error:
            return error.code

    status = await ledger.status(at=at)
    return [
        (await ledger.check(refs, at=at)).verdicts,
        (status.revision, status.hash, status.recorded_at, status.clock, status.kinds, status.states),
        await told(ledger.remediation(at=at)),
        await told(ledger.entries(at=at)),
        await told(ledger.entries(state="stale", current=True, at=at)),
        *[
            await told(read(ref, at=at))
            for read in (ledger.why, ledger.entry, ledger.history, ledger.causes, ledger.consequences)
            for ref in refs
        ],
    ]
