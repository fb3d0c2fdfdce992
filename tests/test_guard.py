"""The guard: only what is fresh passes unless more was asked for, and what is withheld is named (law 17)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from ledger import AsyncLedger, Ledger
from ledger.errors import Behind, LedgerError, Malformed, NoSuchLedger, StaleContext, Unavailable
from ledger.guard import VERDICT_FIELD, Guard, aguard, guard
from ledger.model.canonical import digest_of
from ledger.store.memory import MemoryStore
from ledger.testing.line import Line

OLD, NEW, GONE = {"text": "refunds up to 500"}, {"text": "refunds up to 200"}, {"text": "ask the pope"}
OLD_REF, NEW_REF, GONE_REF = (
    f"policy/{name}@{digest_of(content)}" for name, content in (("refund", OLD), ("refund", NEW), ("appeal", GONE))
)
SUPERSEDED = {
    "ref": OLD_REF,
    "state": "stale",
    "reason": "superseded",
    "id": "@1",
    "cause": "@3",
    "successor": "policy/refund@2",
}
REVOKED = {"ref": GONE_REF, "state": "stale", "reason": "revoked", "id": "@2", "cause": "@4"}


@pytest.fixture(params=["memory:", "sqlite"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    """
    record  dependency policy/refund {500}   -> @1 superseded by @3
    record  dependency policy/appeal         -> @2 revoked by @4
    record  dependency policy/refund {200}   -> @3 fresh
    """
    address = request.param if request.param == "memory:" else f"sqlite:///{tmp_path}/ledger.db"
    with Ledger.open(address) as opened:
        opened.record("dependency", OLD, key="policy/refund")
        opened.record("dependency", GONE, key="policy/appeal")
        opened.record("dependency", NEW, key="policy/refund")
        opened.revoke("policy/appeal", reason="no longer offered")
        yield opened


def passages() -> list[dict[str, Any]]:
    return [{"ref": ref, "text": ref} for ref in (OLD_REF, NEW_REF, GONE_REF, "policy/none", NEW_REF)]


# --- what is kept, what is withheld -------------------------------------------------------------------------


def test_what_is_fresh_is_kept_in_order_and_is_the_same_object_and_the_rest_is_named(ledger: Ledger) -> None:
    items = passages()
    guarded = guard(ledger, items)
    assert [id(item) for item in guarded] == [id(items[1]), id(items[4])]
    assert [item for item, _ in guarded.withheld] == [items[0], items[2], items[3]]
    assert [verdict.as_dict() for _, verdict in guarded.withheld] == [
        SUPERSEDED,
        REVOKED,
        {"ref": "policy/none", "state": "unknown", "reason": "not_found"},
    ]
    assert guarded.revision == ledger.check([]).revision
    assert guarded.clock is not None


def test_the_result_reads_like_the_list_of_what_was_kept(ledger: Ledger) -> None:
    guarded = guard(ledger, passages())
    assert len(guarded) == 2
    assert guarded[0] is guarded.kept[0]
    assert guarded[-1:] == guarded.kept[-1:]
    assert bool(guard(ledger, [])) is False


def test_the_notices_name_reason_cause_and_successor(ledger: Ledger) -> None:
    assert guard(ledger, passages()).notices == [
        f"[withheld: {OLD_REF} is stale (superseded, cause @3); use policy/refund@2 instead]",
        f"[withheld: {GONE_REF} is stale (revoked, cause @4)]",
        "[withheld: policy/none is unknown (not_found)]",
    ]


def test_an_amended_passage_is_fresh(ledger: Ledger) -> None:
    ledger.record("dependency", {"text": "refunds up to 200, please"}, key="policy/refund", amends=2)
    assert len(guard(ledger, [{"ref": NEW_REF}])) == 1


def test_an_item_without_reference_is_unknown_and_unknown_is_never_fresh(ledger: Ledger) -> None:
    for item in (
        {"text": "no reference"},
        {"ref": None},
        "a string",
        None,
        7,
        (),
        {"ref": 42},
        {"metadata": None},
    ):
        guarded = guard(ledger, [item])
        assert not guarded.kept
        assert (guarded.withheld[0][1].state, guarded.withheld[0][1].reason) == ("unknown", "malformed")


def test_the_ledger_is_asked_once_for_all(ledger: Ledger) -> None:
    asked: list[list[str]] = []

    class Counting:
        def check(self, refs: list[str], **options: Any) -> Any:
            asked.append(list(refs))
            return ledger.check(refs, **options)

    assert len(guard(Counting(), passages() * 20)) == 40
    assert asked == [[OLD_REF, NEW_REF, GONE_REF, "policy/none"]]


def test_what_was_not_looked_at_for_too_long_is_withheld_when_asked(ledger: Ledger) -> None:
    assert guard(ledger, [{"ref": NEW_REF}], max_age_s=3600).kept
    assert guard(ledger, [{"ref": NEW_REF}], max_age_s=0).withheld[0][1].reason == "unverified"


# --- where an item carries its reference --------------------------------------------------------------------


@dataclass
class Passage:
    ref: str
    text: str = "old"


@dataclass(frozen=True)
class Frozen:
    ref: str
    content: str = "old"
    metadata: dict[str, Any] = field(default_factory=dict)


class Document(BaseModel):
    """As LangChain's: text and metadata."""

    page_content: str
    metadata: dict[str, Any] = {}


class FrozenDocument(Document):
    model_config = ConfigDict(frozen=True)


def carriers(ref: str) -> list[Any]:
    return [
        {"ref": ref, "text": "old"},
        {"ledger_ref": ref, "ref": "page 7", "content": "old"},
        {"id": 1, "metadata": {"ref": ref, "text": "old"}},
        {"text": "old", "ref": "page 7", "metadata": {"ledger_ref": ref}},
        Passage(ref),
        Frozen(ref),
        Document(page_content="old", metadata={"ref": ref}),
        FrozenDocument(page_content="old", metadata={"ledger_ref": ref}),
        SimpleNamespace(text="old", ref=ref),
        SimpleNamespace(text="old", metadata={"ref": ref}),
        (Document(page_content="old", metadata={"ref": ref}), 0.83),
    ]


@pytest.mark.parametrize("place", range(len(carriers(""))))
def test_the_reference_is_found_wherever_items_carry_it(ledger: Ledger, place: int) -> None:
    fresh, stale = carriers(NEW_REF)[place], carriers(OLD_REF)[place]
    guarded = guard(ledger, [stale, fresh])
    assert guarded.kept == [fresh]
    assert guarded.withheld[0][1].as_dict() == SUPERSEDED


def test_id_of_finds_it_elsewhere(ledger: Ledger) -> None:
    items = [{"source": {"uri": NEW_REF}}, {"source": {"uri": OLD_REF}}]
    assert guard(ledger, items, id_of=lambda item: item["source"]["uri"]).kept == items[:1]


# --- what to do with the rest -------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(len(carriers(""))))
def test_annotate_keeps_a_copy_that_carries_the_verdict(ledger: Ledger, place: int) -> None:
    item, before = carriers(OLD_REF)[place], carriers(OLD_REF)[place]
    (kept,) = guard(ledger, [item], on_stale="annotate")
    assert item == before
    assert json.loads(json.dumps(verdict_on(kept))) == SUPERSEDED


def verdict_on(item: Any) -> Any:
    holder = item[0] if isinstance(item, tuple) else item
    read = holder.get if isinstance(holder, dict) else lambda name: getattr(holder, name, None)
    metadata = read("metadata")
    return read(VERDICT_FIELD) if metadata is None else metadata[VERDICT_FIELD]


@pytest.mark.parametrize("place", range(len(carriers(""))))
def test_redact_keeps_a_copy_without_the_text_and_names_it_as_withheld(ledger: Ledger, place: int) -> None:
    item, before = carriers(OLD_REF)[place], carriers(OLD_REF)[place]
    guarded = guard(ledger, [item], on_stale="redact")
    assert item == before
    assert "'old'" not in repr(guarded.kept)
    assert f"[withheld: {OLD_REF} is stale (superseded, cause @3); use policy/refund@2 instead]" in repr(guarded.kept)
    assert guarded.withheld[0][0] is item


def test_redact_refuses_what_it_cannot_redact(ledger: Ledger) -> None:
    class Computed:
        ref = OLD_REF
        text = property(lambda self: "old")

    class Overlaid(Document):
        @property
        def text(self) -> str:
            return "old"

    for item in (
        {"ref": OLD_REF, "body": "old"},
        Computed(),
        Overlaid(page_content="old", metadata={"ref": OLD_REF}),
    ):
        with pytest.raises(TypeError, match="cannot"):
            guard(ledger, [item], on_stale="redact")


def test_raise_names_all_that_asked_for_it(ledger: Ledger) -> None:
    with pytest.raises(StaleContext, match="2 of 5 items are not fresh") as caught:
        guard(ledger, passages(), on_stale="raise")
    assert caught.value.details["verdicts"] == [SUPERSEDED, REVOKED]
    assert isinstance(caught.value, LedgerError)
    with pytest.raises(StaleContext, match="policy/none is unknown"):
        guard(ledger, passages(), on_unknown="raise")
    assert len(guard(ledger, [{"ref": NEW_REF}], on_stale="raise", on_unknown="raise")) == 1


def test_stale_and_unknown_are_treated_apart(ledger: Ledger) -> None:
    guarded = guard(ledger, passages(), on_stale="drop", on_unknown="annotate")
    assert [item["ref"] for item in guarded] == [NEW_REF, "policy/none", NEW_REF]
    assert [verdict.reason for _, verdict in guarded.withheld] == ["superseded", "revoked"]


def test_a_word_that_is_no_option_is_refused_before_anything_is_asked(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="on_stale='ignore': one of drop, annotate, redact, raise"):
        Guard(ledger, on_stale="ignore")  # type: ignore[arg-type]


# --- when the store does not answer -------------------------------------------------------------------------


class Down:
    """A ledger whose store fails as `error` says; stores themselves are made to fail in the store tests."""

    def __init__(self, error: LedgerError) -> None:
        self.error = error

    def check(self, refs: list[str], **options: Any) -> Any:
        raise self.error


def test_without_an_answer_nothing_is_fresh(ledger: Ledger) -> None:
    with pytest.raises(Unavailable):
        guard(Down(Unavailable("gone")), passages())
    guarded = guard(Down(Unavailable("gone")), [*passages(), {}], on_unavailable="withhold", on_unknown="annotate")
    assert (guarded.kept, guarded.revision, guarded.clock) == ([], None, None)
    assert [verdict.reason for _, verdict in guarded.withheld] == ["unreachable"] * 5 + ["malformed"]


def test_a_long_outage_is_no_answer_either() -> None:
    """A check tells it by its verdicts, `behind`, not by an error: `on_unknown` is not asked."""

    async def cut_off() -> None:
        line = Line(MemoryStore(), poll_s=0.02)
        async with AsyncLedger.open(line, max_lag_s=0.1) as ledger:
            await ledger.record("dependency", OLD, key="policy/refund")
            line.cut = True
            await asyncio.sleep(0.2)
            for on_unknown in ("drop", "annotate", "redact", "raise"):
                with pytest.raises(Behind):
                    await aguard(ledger, passages(), on_unknown=on_unknown)
                guarded = await aguard(ledger, passages(), on_unknown=on_unknown, on_unavailable="withhold")
                assert (guarded.kept, guarded.revision, guarded.clock) == ([], None, None)
                assert [verdict.reason for _, verdict in guarded.withheld] == ["unreachable"] * 5
            line.cut = False

    asyncio.run(cut_off())


def test_what_cannot_pass_by_itself_is_raised_whatever_was_asked(ledger: Ledger) -> None:
    for error in (NoSuchLedger("no such ledger"), Malformed("not so")):
        with pytest.raises(type(error)):
            guard(Down(error), passages(), on_unavailable="withhold")


# --- retrievers, and the async side -------------------------------------------------------------------------


def test_a_wrapped_retriever_gives_what_may_be_used(ledger: Ledger) -> None:
    retrieve = Guard(ledger).wrap(lambda question, count=5: passages()[:count])
    assert [item["ref"] for item in retrieve("refunds?")] == [NEW_REF, NEW_REF]
    assert len(retrieve("refunds?", count=1).withheld) == 1


async def afound(question: str) -> list[dict[str, Any]]:
    return passages()


def test_a_retriever_that_is_a_coroutine_function_stays_one(ledger: Ledger) -> None:
    assert len(asyncio.run(Guard(ledger).wrap(afound)("refunds?"))) == 2


def test_the_async_guard_gives_the_same() -> None:
    async def both() -> None:
        async with AsyncLedger.open("memory:") as ledger:
            await ledger.record("dependency", OLD, key="policy/refund")
            await ledger.record("dependency", NEW, key="policy/refund")
            guarded = await aguard(ledger, passages(), on_unknown="annotate")
            assert [item["ref"] for item in guarded] == [NEW_REF, GONE_REF, "policy/none", NEW_REF]
            assert len(await Guard(ledger).wrap(afound)("refunds?")) == 2
            assert len(await Guard(ledger).wrap(lambda question: passages())("refunds?")) == 2
            with pytest.raises(TypeError, match="AsyncLedger"):
                guard(ledger, passages())  # type: ignore[arg-type]

    asyncio.run(both())
