"""Law 12: revisions that have names."""

from __future__ import annotations

import asyncio
import json

import pytest

from ledger.clock import format_moment
from ledger.errors import Behind, Corrupt, ForeignRevision, LedgerError, Malformed, NoSuchLedger, NoSuchTag, TagConflict
from ledger.model.tag import Tag
from ledger.model.view import NamedRevision
from ledger.testing.desk import Desk
from ledger.testing.line import Line
from ledger.testing.page import Page


class Tagging:
    """Law 12: a tag is a revision's name, for good."""

    async def test_a_tag_stands_for_its_revision(self, page: Page, desk: Desk) -> None:
        """Law 12: every read takes `tag:NAME` for the revision it names, whatever came later, in every process."""
        await page("record dependency p 1                                -> @1 recorded fresh")
        first = await page.ledger.tag("v1")
        await page("revoke p                                             -> @2 revoked stale revoked, fell p@1")
        other = await desk.open()
        second = await other.ledger.tag("v1.withdrawn")
        assert (first.created, second.created) == (True, True)
        for ledger in (page.ledger, other.ledger, (await desk.open()).ledger):
            for tagged, fresh in ((first, ["p"]), (second, [])):
                at = f"tag:{tagged.name}"
                report = await ledger.check(["p"], at=at)
                assert (report.fresh, report.revision) == (fresh, tagged.revision)
                assert await ledger.entries(at=at) == await ledger.entries(at=tagged.revision)
                assert await ledger.history("p", at=at) == await ledger.history("p", at=tagged.revision)
                assert await ledger.entry("p", at=at) == await ledger.entry("p", at=tagged.revision)
                assert await ledger.why("p", at=at) == await ledger.why("p", at=tagged.revision)
                assert await ledger.causes("p", at=at) == await ledger.causes("p", at=tagged.revision)
                assert await ledger.consequences("p", at=at) == await ledger.consequences("p", at=tagged.revision)
                assert await ledger.remediation(at=at) == await ledger.remediation(at=tagged.revision)
                assert (await ledger.status(at=at)).hash == (await ledger.status(at=tagged.revision)).hash
            expected = [NamedRevision(one.name, one.revision) for one in (first, second)]
            assert await ledger.tags() == expected

    async def test_a_tag_is_no_entry(self, page: Page) -> None:
        """Law 12: it is kept beside the log: no number is consumed, and the head is the same."""
        await page("record belief a 1                                    -> @1 recorded fresh")
        before = await page.ledger.status()
        assert (await page.ledger.tag("v1")).revision == before.revision
        assert (await page.ledger.status()).hash == before.hash
        await page("record belief b 1                                    -> @2 recorded fresh")

    async def test_a_tag_never_moves(self, page: Page) -> None:
        """Law 12: the same name for the same revision again is fine, for another it is `tag_conflict`."""
        await page("record belief a 1                                    -> @1 recorded fresh")
        first = await page.ledger.tag("v1")
        again = await page.ledger.tag("v1", first.revision)
        assert (again.name, again.revision, again.created) == ("v1", first.revision, False)
        await page("record belief a 2                                    -> @2 recorded fresh, fell a@1")
        with pytest.raises(TagConflict) as caught:
            await page.ledger.tag("v1")
        assert caught.value.details["revision"] == first.revision
        assert [one.revision for one in await page.ledger.tags()] == [first.revision]
        assert (await page.ledger.tag("v1", "tag:v1")).created is False
        other = await page.ledger.tag("also", "tag:v1")
        assert (other.revision, other.created) == (first.revision, True)

    async def test_an_earlier_revision_gets_a_name(self, page: Page) -> None:
        """Law 12: any revision may be named; one within a batch means its end (law 10)."""
        first = await page.ledger.record("belief", 1, key="a")
        both = await page.ledger.apply([{"op": "record", "kind": "belief", "key": key, "content": 1} for key in "bc"])
        within = (await page.ledger.entries(after=1, limit=1))[0]
        assert (await page.ledger.tag("first", first.revision)).revision == first.revision
        assert (await page.ledger.tag("within", f"{page.ledger.name}@2.{within.hash[:8]}")).revision == both.revision
        nothing = f"{page.ledger.name}@0.00000000"
        assert (await page.ledger.tag("begin", nothing)).revision == nothing
        assert (await page.ledger.check(["a"], at="tag:begin")).verdicts[0].reason == "not_found"
        assert [one.name for one in await page.ledger.tags()] == ["begin", "first", "within"]

    async def test_the_head_is_that_of_the_store(self, page: Page, desk: Desk) -> None:
        """Laws 9 and 12: without a revision the head is named that the store has, whoever wrote it."""
        other = await desk.open()
        await page("record belief a 1                                    -> @1 recorded fresh")
        assert (await other.ledger.tag("v1")).revision == page.ledger.revision

    async def test_at_least_takes_a_tag(self, page: Page, desk: Desk) -> None:
        """Laws 9 and 12: who is given a tag is answered from no earlier revision; a watcher resumes behind it."""
        other = await desk.open()
        await page("record dependency p 1                                -> @1 recorded fresh")
        await page.ledger.tag("v1")
        await page("revoke p                                             -> @2 revoked stale revoked, fell p@1")
        await page.ledger.tag("v2")
        for _ in range(2):
            assert (await other.ledger.check(["p"], at_least="tag:v2")).verdicts[0].reason == "revoked"
        assert (await other.ledger.entry("@2", at_least="tag:v2")).kind == "revocation"
        changes = other.ledger.changes("tag:v1")
        change = await asyncio.wait_for(anext(changes), 20)
        await changes.aclose()
        assert change.revision == page.ledger.revision

    async def test_what_is_no_tag(self, page: Page) -> None:
        """Law 12: names are those of ledgers; what was never named is `no_such_tag`, with those that were."""
        await page("record belief a 1                                    -> @1 recorded fresh")
        for name in ("", "V1", "-v", "a b", "é", "a/b", "x" * 64, "tag:x"):
            with pytest.raises(Malformed) as malformed:
                await page.ledger.tag(name)
            assert malformed.value.details["field"] == "name"
            with pytest.raises(Malformed):
                await page.ledger.check(["a"], at=f"tag:{name}")
        await page.ledger.tag("x" * 63)
        await page.ledger.tag("0.a_b-c")
        for read in (
            page.ledger.check(["a"], at="tag:nope"),
            page.ledger.check(["a"], at_least="tag:nope"),
            page.ledger.status(at="tag:nope"),
            page.ledger.why("a", at_least="tag:nope"),
            page.ledger.tag("other", "tag:nope"),
        ):
            with pytest.raises(NoSuchTag, match=r"no tag 'nope'; here are: 0\.a_b-c, x+") as absent:
                await read
            assert absent.value.details["ref"] == "tag:nope"

    async def test_what_cannot_be_named(self, page: Page, desk: Desk) -> None:
        """Law 12: revisions of other ledgers or histories, and moments, get no names; nor does an empty ledger."""
        empty = await desk.open(".empty")
        with pytest.raises(NoSuchLedger):
            await empty.ledger.tag("v1")
        await desk.close(empty)
        await page("record belief a 1                                    -> @1 recorded fresh")
        for revision in (f"{page.ledger.name}@1.00000000", f"x{page.ledger.name}@0.00000000"):
            with pytest.raises(ForeignRevision):
                await page.ledger.tag("v1", revision)
        for revision in (format_moment(page.clock.now_us), "1", "", "tag:"):
            with pytest.raises(Malformed) as caught:
                await page.ledger.tag("v1", revision)
            assert caught.value.details["field"] == "revision", revision
        assert await page.ledger.tags() == []

    async def test_a_tag_of_another_history(self, desk: Desk) -> None:
        """Law 12: one whose revision this history does not have is refused as that revision is."""
        store = await desk.store()
        page = await desk.open(store=store)
        await page("record belief a 1                                    -> @1 recorded fresh")
        await store.put_tag(page.ledger.name, Tag("forked", 1, bytes(32)))
        await store.put_tag(page.ledger.name, Tag("later", 9, bytes(32)))
        with pytest.raises(ForeignRevision, match="tag:forked"):
            await page.ledger.check(["a"], at="tag:forked")
        with pytest.raises(ForeignRevision):
            await page.ledger.entries(at_least="tag:forked")
        with pytest.raises(ForeignRevision):
            await page.ledger.tag("again", "tag:forked")
        hasty = await desk.open(reach_s=0.05)
        assert (await hasty.ledger.check(["a"], at="tag:later")).verdicts[0].reason == "behind"
        with pytest.raises(Behind):
            await hasty.ledger.status(at="tag:later")
        exported = [json.loads(line) async for line in page.ledger.export(entries=True)]
        assert [line for line in exported if "tag" in line] == []

    async def test_two_processes_name_at_once(self, page: Page, desk: Desk) -> None:
        """Law 12: of two that give one name to two revisions at once, one does, and the other is told."""
        other = await desk.open()
        revisions = [(await page.ledger.record("belief", number, key="a")).revision for number in range(2)]
        for turn in range(5):
            said = await asyncio.gather(
                page.ledger.tag(f"v{turn}", revisions[0]),
                other.ledger.tag(f"v{turn}", revisions[1]),
                return_exceptions=True,
            )
            (won,) = [one for one in said if not isinstance(one, BaseException)]
            (lost,) = [one for one in said if isinstance(one, BaseException)]
            assert isinstance(lost, TagConflict)
            assert lost.details["revision"] == won.revision
            assert won.created
        tags = await page.ledger.tags()
        assert tags == await other.ledger.tags()
        assert len(tags) == 5

    async def test_a_tag_that_the_store_cannot_tell(self, desk: Desk) -> None:
        """Laws 9 and 12: without the store nothing is said at a tag never heard of; one that was known stays good."""
        line = Line(await desk.store(), poll_s=0.05)
        page = await desk.open(store=line, reach_s=1)
        await page("record belief a 1                                    -> @1 recorded fresh")
        await page.ledger.tag("known")
        line.cut = True
        assert (await page.ledger.check(["a"], at="tag:known")).fresh == ["a"]
        report = await page.ledger.check(["a"], at="tag:unheard")
        assert [(one.state, one.reason) for one in report.verdicts] == [("unknown", "behind")]
        with pytest.raises(LedgerError) as caught:
            await page.ledger.entry("a", at="tag:unheard")
        assert (caught.value.code, caught.value.retry) == ("behind", True)
        line.cut = False

    async def test_tags_are_carried_with_the_verbatim_log(self, page: Page, desk: Desk) -> None:
        """Laws 12 and 13: `export --entries` has each behind the entry it names, and `restore` brings them back."""
        await page("record belief a 1                                    -> @1 recorded fresh")
        await page.ledger.tag("v1")
        await page.ledger.tag("one", "tag:v1")
        await page.ledger.tag("begin", f"{page.ledger.name}@0.00000000")
        await page("record belief a 2                                    -> @2 recorded fresh, fell a@1")
        lines = [line async for line in page.ledger.export(entries=True)]
        assert [json.loads(line).get("tag") for line in lines] == ["begin", None, "one", "v1", None]
        restored = await desk.open(".restored")
        for _ in range(2):  # run again, it completes what was cut off
            await restored.ledger.restore(lines)
        names = [(one.name, one.revision.rpartition("@")[2]) for one in await page.ledger.tags()]
        assert [(one.name, one.revision.rpartition("@")[2]) for one in await restored.ledger.tags()] == names
        assert (await restored.ledger.check(["a@1"], at="tag:v1")).fresh == ["a@1"]
        assert [line async for line in restored.ledger.export(entries=True)] == lines
        copied = await desk.copy(page, ".imported")
        assert await copied.ledger.tags() == []

    async def test_a_tag_that_does_not_fit_is_not_restored(self, page: Page, desk: Desk) -> None:
        """Laws 12 and 13: a tag that names something else than stands before it is refused, and its line told."""
        await page("record belief a 1                                    -> @1 recorded fresh")
        await page.ledger.tag("v1")
        entry, tag = [line async for line in page.ledger.export(entries=True)]
        told = json.loads(tag)
        for number, (change, kind) in enumerate(
            (
                ({"hash": "00" * 32}, Corrupt),
                ({"seq": 2}, Corrupt),
                ({"tag": "No Name"}, Malformed),
                ({"tag": None}, Malformed),
                ({"hash": 5}, Malformed),
            )
        ):
            forged = await desk.open(f".forged-{number}")
            with pytest.raises(kind) as caught:
                await forged.ledger.restore([entry, json.dumps(told | change).encode()])
            assert caught.value.details["line"] == 2
            await forged.ledger.restore([entry, tag])
        with pytest.raises(TagConflict):
            again = json.dumps({"tag": "v1", "seq": 0, "hash": "00" * 32}).encode()
            await forged.ledger.restore([again, entry])
