"""The key nearest to one that is unknown: for who reads it only, and at a cost that does not grow with all keys."""

from __future__ import annotations

import difflib
import random
from unittest.mock import Mock

import pytest

from ledger import Ledger
from ledger.errors import NotFound
from ledger.validity.index import Index
from ledger.validity.resolve import resolve


def knowing(names: list[str]) -> Index:
    index = Index()
    index.key_names += names
    return index


def told(index: Index, ref: str) -> str:
    with pytest.raises(NotFound) as refused:
        resolve(index, ref)
    return refused.value.message


def test_a_check_looks_for_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = Mock(return_value=[])
    monkeypatch.setattr(difflib, "get_close_matches", looked)
    with Ledger.open("memory:") as ledger:
        ledger.record("belief", 1, key="refund-ok")
        assert [one.reason for one in ledger.check(["refund-okay", "refund-no", "refund-okay@3"]).verdicts] == [
            "not_found"
        ] * 3
        looked.assert_not_called()
        with pytest.raises(NotFound):
            ledger.why("refund-okay")
        looked.assert_called_once()


def test_few_of_many_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = Mock(side_effect=difflib.get_close_matches)
    monkeypatch.setattr(difflib, "get_close_matches", compared)
    names = [f"policy/customer/{number:06}" for number in range(20_000)]
    random.Random(1).shuffle(names)
    index = knowing(names)
    for slip in (
        "polcy/customer/004123",
        "policy/customre/004123",
        "policy/kustomer/004123",
        "policy/customer/004123x",
    ):
        assert told(index, slip).endswith("did you mean 'policy/customer/004123'?"), slip
    told(index, "policy/customer/9999999")
    assert all(len(call.args[1]) <= 32 for call in compared.call_args_list)


def test_no_hint_where_nothing_is_near_or_it_would_take_long() -> None:
    index = knowing(["a" * 100, "a" * 101, "refund-ok"])
    assert told(index, "payout").endswith("'payout'")
    assert "did you mean" in told(index, "a" * 99)
    assert "did you mean" not in told(index, "a" * 102)
