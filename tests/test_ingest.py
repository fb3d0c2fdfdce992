"""A folder and the ledger that follows it: what changes, vanishes and returns, and what falls with it."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import AsyncLedger, AsyncLedgerClient, Ledger, LedgerClient
from ledger.errors import FileTrouble, Malformed
from ledger.guard import guard
from ledger.ingest import IngestReport, aingest, ingest
from tests.serving import hosted

SHOP = """Shop
====
What it is.

Paying
------
Cash only.

Refunds
-------
Up to 500.
"""


@pytest.fixture(params=["memory:", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    address = request.param if request.param == "memory:" else f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(address) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "pages"
    (folder / "more").mkdir(parents=True)
    (folder / "shop.rst").write_text(SHOP)
    (folder / "more" / "faq.md").write_text("# FAQ\n\n## Why?\n\nBecause.\n")
    return folder


def states(ledger: Ledger, *refs: str) -> list[str]:
    """As `fresh` or `stale reason cause`."""
    verdicts = ledger.check(list(refs)).verdicts
    return [" ".join(filter(None, (verdict.state, verdict.reason, verdict.cause))) for verdict in verdicts]


def counts(report: IngestReport) -> dict[str, int]:
    return dict(report.counts)


def ref_of(report: IngestReport, anchor: str) -> str:
    return next(chunk.ref for chunk in report.references if chunk.key.endswith(f"#{anchor}"))


# --- the first time -----------------------------------------------------------------------------------------


def test_a_folder_becomes_documents_and_chunks_that_rest_on_them(ledger: Ledger, folder: Path) -> None:
    """
    ingest  pages   -> @1 docs/more/faq.md, @2 …#why because @1
                       @3 docs/shop.rst, @4 …#top, @5 …#paying, @6 …#refunds because @3
    """
    report = ingest(ledger, folder, attributes={"license": "CC0-1.0"})
    assert [chunk.key for chunk in report.references] == [
        "docs/more/faq.md#why",
        "docs/shop.rst#top",
        "docs/shop.rst#paying",
        "docs/shop.rst#refunds",
    ]
    assert counts(report) == {"recorded": 6}
    assert report.revision == ledger.check([]).revision
    assert ledger.check([chunk.ref for chunk in report.references]).withheld == []
    assert ledger.entry("docs/shop.rst").content == {"path": "shop.rst", "license": "CC0-1.0"}
    assert ledger.entry("docs/shop.rst#paying").content == {"heading": "Paying", "text": "Cash only."}
    assert ledger.entry("docs/shop.rst#paying").actor == "ingest"


def test_the_references_feed_a_vector_store_and_the_guard_understands_them(ledger: Ledger, folder: Path) -> None:
    report = ingest(ledger, folder)
    index = [{"text": chunk.text, "title": chunk.title, "metadata": {"ref": chunk.ref}} for chunk in report.references]
    (folder / "shop.rst").write_text(SHOP.replace("500", "200"))
    ingest(ledger, folder)
    guarded = guard(ledger, index)
    assert [item["title"] for item in guarded] == ["Why?", "Shop", "Paying"]
    assert guarded.withheld[0][1].successor == "docs/shop.rst#refunds@2"


def test_attributes_may_differ_by_document(ledger: Ledger, folder: Path) -> None:
    ingest(
        ledger,
        folder,
        attributes=lambda path, text: {"long": len(text) > 40} if path.endswith(".rst") else {},
    )
    assert ledger.entry("docs/shop.rst").content == {"path": "shop.rst", "long": True}
    assert ledger.entry("docs/more/faq.md").content == {"path": "more/faq.md"}


# --- again --------------------------------------------------------------------------------------------------


def test_again_without_a_change_everything_is_repeated_in_one_entry(ledger: Ledger, folder: Path) -> None:
    first = ingest(ledger, folder)
    again = ingest(ledger, folder)
    assert counts(again) == {"repeated": 6}
    assert [chunk.ref for chunk in again.references] == [chunk.ref for chunk in first.references]
    assert again.revision.startswith("main@7.")


def test_an_edit_in_one_section_fells_that_section_alone(ledger: Ledger, folder: Path) -> None:
    first = ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.replace("500", "200"))
    report = ingest(ledger, folder)
    assert counts(report) == {"recorded": 1, "repeated": 5}
    verdicts = {verdict.ref: verdict for verdict in ledger.check([chunk.ref for chunk in first.references]).verdicts}
    assert [ref for ref, verdict in verdicts.items() if not verdict.fresh] == [ref_of(first, "refunds")]
    assert verdicts[ref_of(first, "refunds")].successor == "docs/shop.rst#refunds@2"


def test_a_document_whose_standing_changes_takes_its_sections_along(ledger: Ledger, folder: Path) -> None:
    """
    record  docs/shop.rst {status: withdrawn}          -> its chunks rest on nothing that stands, until
    record  docs/shop.rst#top because docs/shop.rst@2  -> justified, fresh
    """
    ingest(ledger, folder, attributes={"status": "draft"})
    ledger.record("dependency", {"path": "shop.rst", "status": "withdrawn"}, key="docs/shop.rst")
    assert states(ledger, "docs/shop.rst#top", "docs/more/faq.md#why") == ["stale unsupported @7", "fresh"]
    report = ingest(ledger, folder, attributes={"status": "final"})
    assert counts(report) == {"recorded": 2, "justified": 4}
    assert states(ledger, *(chunk.ref for chunk in report.references)) == ["fresh"] * 4


def test_a_section_that_vanished_is_revoked_once(ledger: Ledger, folder: Path) -> None:
    first = ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
    assert counts(ingest(ledger, folder)) == {"repeated": 5, "revoked": 1}
    assert states(ledger, ref_of(first, "refunds"), ref_of(first, "paying")) == ["stale revoked @7", "fresh"]
    assert counts(ingest(ledger, folder)) == {"repeated": 5}


def test_a_section_that_returns_stands_again(ledger: Ledger, folder: Path) -> None:
    first = ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
    ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP)
    assert counts(ingest(ledger, folder)) == {"reinstated": 1, "repeated": 6}
    assert states(ledger, ref_of(first, "refunds")) == ["fresh"]


def test_a_section_that_returns_with_another_text_is_a_new_version_and_the_old_one_stays_withdrawn(
    ledger: Ledger, folder: Path
) -> None:
    first = ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
    ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.replace("500", "200"))
    report = ingest(ledger, folder)
    assert counts(report) == {"recorded": 1, "repeated": 5}
    assert states(ledger, ref_of(first, "refunds"), ref_of(report, "refunds")) == [
        "stale revoked @7",
        "fresh",
    ]


def test_what_somebody_else_withdrew_stays_withdrawn_and_is_told(ledger: Ledger, folder: Path) -> None:
    """
    revoke     …#refunds  by ingest   -> vanished
    revoke     …#refunds  by a person -> two withdrawals stand
    reinstate  …#refunds              -> ingest lifts its own alone
    record     …#refunds              -> withheld
    """
    first = ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
    ingest(ledger, folder)
    other = ledger.revoke("docs/shop.rst#refunds", mode="quarantined", reason="legal looks at it", actor="ann")
    (folder / "shop.rst").write_text(SHOP)
    report = ingest(ledger, folder)
    assert counts(report) == {"reinstated": 1, "repeated": 5, "withheld": 1}
    assert [(held.ref, held.verdict.reason, held.stands) for held in report.withheld] == [
        ("docs/shop.rst#refunds@1", "quarantined", (other.entry,))
    ]
    assert states(ledger, ref_of(first, "refunds")) == [f"stale quarantined {other.entry}"]
    ledger.reinstate("docs/shop.rst#refunds", reason="fine")
    assert states(ledger, ref_of(first, "refunds")) == ["fresh"]


def test_a_person_with_the_same_words_is_not_ingest(ledger: Ledger, folder: Path) -> None:
    ingest(ledger, folder)
    ledger.revoke("docs/shop.rst#refunds", reason="ingest: no longer in the folder", actor="ann")
    assert counts(ingest(ledger, folder)) == {"repeated": 5, "withheld": 1}


def test_what_was_declared_wrong_from_birth_is_not_recorded_again(ledger: Ledger, folder: Path) -> None:
    ingest(ledger, folder)
    ledger.revoke("docs/shop.rst#refunds", mode="wrong_from_birth", reason="never true")
    report = ingest(ledger, folder)
    assert counts(report) == {"repeated": 5, "condemned": 1}
    assert report.withheld[0].outcome == "condemned"
    (folder / "shop.rst").write_text(SHOP.replace("500", "200"))
    assert counts(ingest(ledger, folder)) == {"repeated": 5, "recorded": 1}
    assert states(ledger, "docs/shop.rst#refunds") == ["fresh"]


def test_a_document_that_vanished_is_revoked_and_its_sections_fall_and_return_with_it(
    ledger: Ledger, folder: Path
) -> None:
    """
    revoke     docs/shop.rst              -> its three chunks are unsupported
    reinstate  docs/shop.rst              -> they stand again, without being recorded
    revoke     docs/shop.rst#refunds      -> the one that did not return
    """
    first = ingest(ledger, folder)
    (folder / "shop.rst").unlink()
    assert counts(ingest(ledger, folder)) == {"repeated": 2, "revoked": 1}
    assert states(ledger, "docs/shop.rst", ref_of(first, "paying")) == [
        "stale revoked @7",
        "stale unsupported @7",
    ]
    assert counts(ingest(ledger, folder)) == {"repeated": 2}
    (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
    report = ingest(ledger, folder)
    assert counts(report) == {"reinstated": 1, "repeated": 5, "revoked": 1}
    assert states(ledger, "docs/shop.rst", ref_of(first, "paying")) == ["fresh", "fresh"]
    assert states(ledger, ref_of(first, "refunds"))[0].startswith("stale revoked")


def test_a_document_that_returns_with_another_standing_carries_its_sections_again(ledger: Ledger, folder: Path) -> None:
    first = ingest(ledger, folder, attributes={"status": "draft"})
    faq = (folder / "more" / "faq.md").read_text()
    (folder / "more" / "faq.md").unlink()
    ingest(ledger, folder, attributes={"status": "draft"})
    (folder / "more" / "faq.md").write_text(faq)
    report = ingest(ledger, folder, attributes=lambda path, _: {"status": "final" if path.endswith(".md") else "draft"})
    assert counts(report) == {"recorded": 1, "justified": 1, "repeated": 4}
    assert states(ledger, ref_of(first, "why")) == ["fresh"]


# --- what is ingest's own, and what is not ------------------------------------------------------------------


def test_what_others_recorded_below_the_prefix_is_left_alone(ledger: Ledger, folder: Path) -> None:
    ledger.record("dependency", {"by": "hand"}, key="docs/by-hand", actor="ann")
    ledger.record("belief", {"by": "ingest"}, key="docs/belief", actor="ingest")
    ingest(ledger, folder)
    assert states(ledger, "docs/by-hand", "docs/belief") == ["fresh", "fresh"]


def test_two_folders_under_two_prefixes_do_not_see_each_other(ledger: Ledger, folder: Path) -> None:
    ingest(ledger, folder, prefix="docs")
    ingest(ledger, folder / "more", prefix="docs-more")
    assert counts(ingest(ledger, folder, prefix="docs")) == {"repeated": 6}
    assert states(ledger, "docs-more/faq.md#why") == ["fresh"]


def test_include_chooses_files_by_name_and_hidden_ones_are_left_out(ledger: Ledger, folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "notes.md").write_text("# Hidden\ntext\n")
    (folder / "data.csv").write_text("a,b\n")
    report = ingest(ledger, folder, include=("*.md", "*.csv"))
    assert [chunk.key for chunk in report.references] == ["docs/data.csv#top", "docs/more/faq.md#why"]


def test_names_with_the_separator_and_in_another_normal_form_are_fine_keys(ledger: Ledger, folder: Path) -> None:
    (folder / "c# 100%.md").write_text("# Sharp\ntext\n")
    (folder / "u\u0308ber.md").write_text("# Over\ntext\n")
    report = ingest(ledger, folder)
    assert {"docs/c%23 100%25.md#top", "docs/über.md#top"} <= {chunk.key for chunk in report.references}
    assert counts(ingest(ledger, folder)) == {"repeated": 10}


# --- bad input ----------------------------------------------------------------------------------------------


def test_bad_input_is_refused_with_its_place_and_nothing_is_recorded(
    ledger: Ledger, folder: Path, tmp_path: Path
) -> None:
    ingest(ledger, folder)
    before = ledger.check([]).revision
    with pytest.raises(NotADirectoryError, match="no such folder"):
        ingest(ledger, tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Malformed, match="no documents"):
        ingest(ledger, tmp_path / "empty")
    (folder / "zz.txt").write_bytes(b"caf\xe9")
    with pytest.raises(Malformed, match=r"zz\.txt is not UTF-8: byte 3 is 0xe9"):
        ingest(ledger, folder)
    assert ledger.check([]).revision == before


@pytest.mark.parametrize("trouble", ["folder", "file", "dangling"])
def test_what_cannot_be_read_is_not_gone(
    ledger: Ledger, folder: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A folder that may not be listed, a file that may not be read, a link to nothing: refused, and all stands."""
    first = ingest(ledger, folder)
    place = folder / "more" if trouble == "folder" else folder / "more" / "faq.md"

    def denied(ask: Callable[..., Any]) -> Callable[..., Any]:  # root may read everything
        def asked(path: Any, *args: Any) -> Any:
            if str(path) == str(place):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return ask(path, *args)

        return asked

    if trouble == "folder":
        monkeypatch.setattr(os, "scandir", denied(os.scandir))
    elif trouble == "file":
        monkeypatch.setattr(Path, "read_bytes", denied(Path.read_bytes))
    else:
        place.unlink()
        place.symlink_to(folder / "nowhere.md")
    with pytest.raises(FileTrouble, match="cannot read") as told:
        ingest(ledger, folder)
    assert told.value.details["path"] == str(place)
    assert ledger.check([chunk.ref for chunk in first.references]).withheld == []


def test_links_to_files_are_read_and_links_to_folders_are_not_followed(ledger: Ledger, folder: Path) -> None:
    (folder / "again.rst").symlink_to(folder / "shop.rst")
    (folder / "linked").symlink_to(folder / "more")
    keys = {chunk.key.partition("#")[0] for chunk in ingest(ledger, folder).references}
    assert keys == {"docs/again.rst", "docs/shop.rst", "docs/more/faq.md"}


def test_an_empty_folder_withdraws_everything_only_when_that_is_meant(
    ledger: Ledger, folder: Path, tmp_path: Path
) -> None:
    first = ingest(ledger, folder)
    (tmp_path / "empty").mkdir()
    assert counts(ingest(ledger, tmp_path / "empty", allow_empty=True)) == {"revoked": 2}
    assert counts(ingest(ledger, tmp_path / "empty", allow_empty=True)) == {}
    assert not ledger.check([chunk.ref for chunk in first.references]).fresh


# --- any history --------------------------------------------------------------------------------------------

SECTIONS = st.dictionaries(st.sampled_from(["Paying", "Refunds"]), st.sampled_from(["one", "two"]))
FOLDER = st.dictionaries(st.sampled_from(["a.rst", "b.rst"]), st.tuples(st.sampled_from(["draft", "final"]), SECTIONS))


@settings(max_examples=60, deadline=None)
@given(st.lists(FOLDER, min_size=1, max_size=6))
def test_whatever_happened_before_exactly_what_is_in_the_folder_is_fresh(
    history: list[dict[str, Any]],
) -> None:
    seen: set[str] = set()
    with Ledger.open("memory:") as ledger, TemporaryDirectory() as folder:
        for pages in history:
            for old in Path(folder).iterdir():
                old.unlink()
            for name, (_, sections) in pages.items():
                body = "".join(f"{title}\n-------\n{text}\n\n" for title, text in sections.items())
                Path(folder, name).write_text(f"Title\n=====\nintro\n\n{body}")
            statuses = {name: {"status": status} for name, (status, _) in pages.items()}
            report = ingest(ledger, folder, attributes=lambda path, _, now=statuses: now[path], allow_empty=True)
            refs = {chunk.ref for chunk in report.references}
            seen |= refs
            assert set(ledger.check(sorted(seen)).fresh) == refs
            assert not report.withheld
            repeated = ingest(ledger, folder, attributes=lambda path, _, now=statuses: now[path], allow_empty=True)
            assert set(repeated.counts) <= {"repeated"}
        assert ledger.audit().ok


# --- two at once, and the async side ------------------------------------------------------------------------


def test_a_write_in_between_is_seen_and_planned_for_anew(ledger: Ledger, folder: Path) -> None:
    """Somebody records a chunk between look and batch: `expects` refuses, and ingest looks again."""
    ingest(ledger, folder)
    (folder / "shop.rst").write_text(SHOP.replace("500", "200"))

    class Interrupted:
        """The ledger, with another writer who comes in once, right before the batch."""

        others: ClassVar = [{"heading": "Refunds", "text": "Up to 300."}]

        def __getattr__(self, name: str) -> Any:
            return getattr(ledger, name)

        def apply(self, commands: list[dict[str, Any]], **signature: Any) -> Any:
            if self.others:
                ledger.record(
                    "dependency",
                    self.others.pop(),
                    key="docs/shop.rst#refunds",
                    because=[["docs/shop.rst"]],
                    actor="ingest",
                )
            return ledger.apply(commands, **signature)

    assert counts(ingest(Interrupted(), folder)) == {"recorded": 1, "repeated": 5}
    assert ledger.entry("docs/shop.rst#refunds@3").content == {"heading": "Refunds", "text": "Up to 200."}


def test_the_async_side_does_the_same(folder: Path) -> None:
    async def run() -> None:
        async with AsyncLedger.open("memory:") as ledger:
            assert counts(await aingest(ledger, folder)) == {"recorded": 6}
            (folder / "shop.rst").write_text(SHOP.partition("Refunds")[0])
            assert counts(await aingest(ledger, folder)) == {"repeated": 5, "revoked": 1}
            (folder / "shop.rst").write_text(SHOP)
            assert counts(await aingest(ledger, folder)) == {"reinstated": 1, "repeated": 6}

    asyncio.run(run())


def test_a_service_need_not_have_the_ledger_yet(folder: Path, tmp_path: Path) -> None:
    """The batch makes it, as it does of an embedded one."""

    async def run(address: str) -> None:
        async with AsyncLedgerClient(address, "two") as ledger:
            assert counts(await aingest(ledger, folder)) == {"recorded": 6}
            assert counts(await aingest(ledger, folder)) == {"repeated": 6}

    (tmp_path / "empty").mkdir()
    with hosted(f"sqlite:///{tmp_path / 'ledger.db'}") as served:
        with LedgerClient(served.address, "one") as ledger:
            assert counts(ingest(ledger, tmp_path / "empty", allow_empty=True)) == {}
            assert counts(ingest(ledger, folder)) == {"recorded": 6}
            assert counts(ingest(ledger, folder)) == {"repeated": 6}
        asyncio.run(run(served.address))
