"""LedgerClient and AsyncLedgerClient answer what the embedded ledger answers, in the same classes."""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import ledger
from ledger import AsyncLedger, AsyncLedgerClient, Ledger, LedgerClient
from ledger.clock import SECOND, format_moment
from ledger.errors import LedgerError, Malformed, NoSuchLedger, NotCurrent, NotFound, Refused
from ledger.testing import ManualClock
from tests.clients import KINDS, client_of
from tests.serving import Service, hosted

KEYS = ("refund limit", "ключ/é€", "https://example.org/a?b=c#d", "a@b.example", "100%", "a+b&c=d")


class Both:
    """One ledger, embedded and over HTTP."""

    def __init__(self, embedded: Ledger, client: Any, clock: ManualClock, address: str) -> None:
        self.embedded = embedded
        self.address = address
        self.client = client
        self.clock = clock

    def agree(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """The answer of both, which is the same: the same object, or the same error."""
        ours, theirs = (_answer(getattr(one, method), args, kwargs) for one in (self.embedded, self.client))
        assert theirs == ours
        return ours


def _answer(method: Any, args: Any, kwargs: Any) -> Any:
    try:
        came = method(*args, **kwargs)
    except LedgerError as error:
        return type(error), error.as_dict()
    if inspect.isgenerator(came):
        return list(came)
    return came.as_dict() | {"fresh": came.fresh, "withheld": came.withheld} if hasattr(came, "found") else came


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.db'}"


@pytest.fixture
def service(store: str, clock: ManualClock) -> Iterator[Service]:
    with hosted(store, clock=clock) as served:
        yield served


@pytest.fixture(params=KINDS)
def client(request: pytest.FixtureRequest, service: Service) -> Iterator[Any]:
    with client_of(request.param, service.address) as opened:
        yield opened


@pytest.fixture
def both(store: str, service: Service, client: Any, clock: ManualClock) -> Iterator[Both]:
    """
    record  dependency refund-limit {limit: 500}            -> @1
    record  belief refund-ok because refund-limit           -> @2
    record  mutation pay because refund-ok                  -> @3
    record  dependency refund-limit {limit: 200}            -> @4, @1 superseded
    …       odd keys, a decision without key, a revocation, a verification, an attempt
    """
    write(client)
    with Ledger.open(store, clock=clock) as embedded:
        yield Both(embedded, client, clock, service.address)


def write(client: Any) -> None:
    client.record("dependency", {"limit": 500}, key="refund-limit", actor="ann")
    client.record("belief", True, key="refund-ok", because=[["refund-limit"]])
    client.record("mutation", {"paid": 1.5}, key="pay", because=[["refund-ok"]])
    client.record("dependency", {"limit": 200}, key="refund-limit", actor="bob")
    for key in KEYS:
        client.record("dependency", {"name": key, "half": 0.5, "none": None}, key=key)
    client.record("decision", "anything", cites=[KEYS[1]])
    client.revoke(KEYS[0], "wrong_from_birth", reason="nobody said so: “…”")
    client.verify(KEYS[2], "sha256:" + "0" * 64)
    client.record("dependency", {"name": KEYS[0], "half": 0.5, "none": None}, key=KEYS[0])


# --- the same methods -----------------------------------------------------------------------------------------


def methods(kind: type) -> dict[str, list[tuple[str, Any, Any]]]:
    found = inspect.getmembers(kind, lambda one: callable(one) or isinstance(one, property))
    return {name: _parameters(one) for name, one in found if not name.startswith("_")}


def _parameters(method: Any) -> list[tuple[str, Any, Any]]:
    if isinstance(method, property):
        return []
    parameters = inspect.signature(method).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]


@pytest.mark.parametrize(("embedded", "client"), [(Ledger, LedgerClient), (AsyncLedger, AsyncLedgerClient)])
def test_the_same_methods_with_the_same_parameters(embedded: type, client: type) -> None:
    expected = methods(embedded)
    del expected["open"]  # a client is made by its name
    assert methods(client) == expected


def test_whoever_has_the_ledger_in_his_process_does_not_import_httpx() -> None:
    look = "import sys; from ledger import Ledger; assert 'httpx' not in sys.modules; from ledger import LedgerClient"
    subprocess.run([sys.executable, "-c", look], check=True)
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = ledger.nothing_such  # type: ignore[attr-defined]


# --- the same answers -----------------------------------------------------------------------------------------


def test_checks(both: Both) -> None:
    refs = ["refund-limit", "refund-limit@1", "refund-ok", "pay", *KEYS, "@12", "@99", "nowhere", "", "@", "ref\ud800"]
    both.agree("check", refs)
    both.agree("check", refs * 3, full=True)
    both.agree("check", [])
    both.clock.wait(100)
    report = both.agree("check", refs, max_age_s=60)
    assert {one.reason for one in report["withheld"]} >= {"unverified", "not_found", "malformed", "wrong_from_birth"}
    assert both.client.revision == both.embedded.revision


@pytest.mark.parametrize("odd", [42, None, b"refund-limit", ["refund-limit"]])
def test_a_reference_that_is_no_text_is_malformed_and_no_other_is(both: Both, odd: Any) -> None:
    report = both.agree("check", ["refund-limit", odd, "nowhere"])
    assert [one["state"] for one in report["verdicts"]] == ["fresh", "unknown", "unknown"]


@pytest.mark.parametrize("odd", [42, None, b"refund-limit", ["refund-limit"]], ids=str)
@pytest.mark.parametrize("method", ["why", "entry", "history", "causes", "consequences"])
def test_what_is_read_is_named_by_a_text(both: Both, method: str, odd: Any) -> None:
    kind, told = both.agree(method, odd)
    assert (kind, told["field"]) == (Malformed, "ref")
    assert told["message"] == f"a reference is a text, not {type(odd).__name__}"


@pytest.mark.parametrize(
    ("method", "args", "given", "field", "says"),
    [
        ("entries", [], {"about": 5}, "about", "a reference is a text, not int"),
        ("entries", [], {"resting_on": [1]}, "resting_on", "a reference is a text, not list"),
        ("entries", [], {"key_prefix": 5}, "key_prefix", "key_prefix is a text, not int"),
        ("entries", [], {"actor": 5}, "actor", "actor is a text, not int"),
        ("plan_withdrawal", [], {"about": 5}, "about", "a reference is a text, not int"),
        ("check", [5], {}, "refs", "refs is a list of references, not int"),
        ("check", [None], {"full": True}, "refs", "refs is a list of references, not NoneType"),
        ("check", ["refund-limit"], {}, "refs", "refs is a list of references, not one string"),
        ("diff", [None], {}, "from", "from is missing"),
        ("compare", [5], {}, "ledger", "5 is no ledger name"),
    ],
)
def test_what_is_asked_for_has_its_form(
    both: Both, method: str, args: list[Any], given: dict[str, Any], field: str, says: str
) -> None:
    kind, told = both.agree(method, *args, **given)
    assert (kind, told["field"]) == (Malformed, field)
    assert told["message"].startswith(says)


@pytest.mark.parametrize("method", ["check", "why", "entry", "history", "causes", "consequences"])
def test_a_past_is_named_by_a_text(both: Both, method: str) -> None:
    for one in (both.embedded, both.client):
        with pytest.raises(Malformed) as told:
            getattr(one, method)(["pay"] if method == "check" else "pay", at=5)
        assert told.value.details["field"] == "at"


def test_reads(both: Both) -> None:
    for ref in ("refund-limit", "refund-limit@1", "refund-ok", "pay@1", *KEYS, "@12", "@13", "@14"):
        both.agree("entry", ref)
        both.agree("why", ref)
        both.agree("history", ref)
        both.agree("history", ref, at=both.embedded.revision)
        both.agree("causes", ref)
        both.agree("causes", ref, depth=1, limit=2)
        both.agree("consequences", ref, depth=0)
    both.agree("diff", both.embedded.revision)
    assert both.agree("compare", "main", other_at=both.embedded.revision).same == 9
    assert both.agree("compare", "none")[1]["code"] == "no_such_ledger"
    both.clock.wait(100)
    start = format_moment(both.clock.now_us - 1_000 * SECOND)
    told = both.agree("diff", start, both.embedded.revision, limit=3)
    assert (told.recorded.count, len(told.recorded.first)) == (11, 3)
    assert both.agree("diff", start).recorded.count == 11
    both.agree("why", "refund-limit", max_age_s=10)
    assert both.agree("remediation")[0].entry.ref == "pay@1"
    assert both.agree("status").head == 14
    assert both.agree("audit").ok


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"kinds": ["belief", "revocation"]},
        {"kinds": []},
        {"kinds": ("mutation",)},
        {"key_prefix": "refund"},
        {"key_prefix": KEYS[1]},
        {"actor": "ann"},
        {"state": "stale"},
        {"current": True},
        {"after": 3, "limit": 2},
        {"limit": 0},
        {"content": False},
    ],
    ids=str,
)
def test_entries(both: Both, wanted: dict[str, Any]) -> None:
    both.agree("entries", **wanted)


ODD = ("5", True, 1.5, None)
"""No whole numbers."""

NUMBERS: dict[str, tuple[str, list[Any], list[Any], list[Any]]] = {
    # what is asked, with what, the numbers that are taken, and those that are not
    "entries limit": ("entries", [], [0, 1, 2_000], [-1, *ODD]),
    "entries after": ("entries", [], [0, 5], [-1, *ODD]),
    "diff limit": ("diff", ["1970-01-01T00:00:00Z"], [1, 1_000], [0, -1, 1_001, *ODD]),
    "compare limit": ("compare", ["main"], [1, 1_000], [0, -1, 1_001, *ODD]),
    "causes limit": ("causes", ["pay"], [1, 1_000], [0, -1, 1_001, *ODD]),
    "causes depth": ("causes", ["pay"], [None, 0, 9], [-1, *ODD[:3]]),
    "consequences limit": ("consequences", ["refund-ok"], [1, 1_000], [0, -1, 1_001, *ODD]),
    "consequences depth": ("consequences", ["refund-ok"], [None, 0, 9], [-1, *ODD[:3]]),
    "impact limit": ("impact", [[{"op": "revoke", "target": "@2"}]], [0, 1, 1_000], [-1, 1_001, *ODD]),
    "plan_withdrawal limit": ("plan_withdrawal", [], [0, 1, 1_000], [-1, 1_001, *ODD]),
}


@pytest.mark.parametrize("what", NUMBERS)
def test_numbers_have_the_same_bounds_embedded_and_by_a_client(both: Both, what: str) -> None:
    """And what is out of them, or no whole number, is refused by name."""
    name, args, taken, refused = NUMBERS[what]
    field = what.partition(" ")[2]
    more = {"actor": "ann"} if name == "plan_withdrawal" else {}
    for number in taken:
        assert not isinstance(both.agree(name, *args, **{field: number}, **more), tuple)
    for number in refused:
        told = both.agree(name, *args, **{field: number}, **more)
        assert (told[1]["code"], told[1]["field"]) == ("malformed", field), number


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("diff?from=1970-01-01T00:00:00Z&", 1_000),
        ("compare?other=main&", 1_000),
        ("causes?ref=pay&", 1_000),
        ("consequences?ref=pay&", 1_000),
        ("entries?", 1_000),
        ("history?ref=pay&", 1_000),
    ],
)
def test_numbers_have_the_same_bounds_over_http(both: Both, path: str, most: int) -> None:
    def status(limit: int) -> int:
        answer = httpx.get(f"{both.address}/v1/ledgers/main/{path}limit={limit}")
        assert answer.status_code == 200 or answer.json().items() >= {"code": "malformed", "field": "limit"}.items()
        return answer.status_code

    assert [status(limit) for limit in (-1, 0, 1, most, most + 1)] == [400, 400, 200, 200, 400]


def test_kinds_may_come_one_by_one(both: Both) -> None:
    told = both.embedded.entries(kinds=iter(["mutation"]))
    assert told == both.client.entries(kinds=iter(["mutation"]))
    assert {entry.kind for entry in told} == {"mutation"}


def test_more_entries_than_one_answer_holds(both: Both) -> None:
    both.client.apply([{"op": "record", "kind": "belief", "content": number} for number in range(1_500)])
    assert len(both.agree("entries", limit=5_000, content=False)) == 1_514
    assert len(both.agree("entries", limit=1_200, after=7)) == 1_200


def test_large_contents_come_in_several_answers(both: Both) -> None:
    for number in range(20):
        both.client.record("belief", "x" * 1_000_000, key=f"large/{number}")
    answer = httpx.get(f"{both.address}/v1/ledgers/main/entries", params={"key_prefix": "large/"}).json()
    assert (len(answer["entries"]), answer["more"]) == (9, True)
    assert len(both.agree("entries", key_prefix="large/")) == 20


def test_a_long_history_comes_in_several_answers(both: Both) -> None:
    """An answer ends with contents that are too large together, and at the limit asked for."""
    for number in range(12):
        both.client.record("belief", f"{number}{'x' * 1_000_000}", key="large")

    def answered(ref: str, **more: int) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(
            f"{both.address}/v1/ledgers/main/history", params={"ref": ref, **more}, timeout=30
        ).json()
        return found

    first = answered("large")
    ids = [entry["id"] for entry in first["entries"]]
    assert (len(ids), first["more"], first["editions"]["count"]) == (9, True, 12)
    rest = answered("large", after=first["entries"][-1]["seq"])
    assert (len(rest["entries"]), "more" in rest) == (3, False)
    assert [entry["id"] for entry in answered("large", limit=2)["entries"]] == ids[:2]
    assert len(both.agree("history", "large")) == 12


def test_exports(both: Both) -> None:
    assert len(both.agree("export")) == 14
    assert len(both.agree("export", entries=True)) == 14


def test_changes(both: Both) -> None:
    start = "main@0.00000000"
    ours = list(itertools.islice(both.embedded.changes(start), 14))
    assert list(itertools.islice(both.client.changes(start), 14)) == ours
    later = list(itertools.islice(both.client.changes(ours[10].revision), 3))
    assert later == ours[11:14]
    watching = both.client.changes()
    both.embedded.record("belief", 1, key="late")
    assert next(watching).recorded.first[0].ref == "late@1"
    watching.close()


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("entry", ["nowhere"]),
        ("entry", ["@99"]),
        ("why", ["refund-limit@sha256:00"]),
        ("history", [""]),
        ("causes", ["refund-limit@9"]),
        ("consequences", ["@0"]),
        ("diff", ["yesterday"]),
        ("check", ["refund-limit"]),
    ],
)
def test_the_same_errors(both: Both, method: str, args: list[str]) -> None:
    kind, _ = both.agree(method, *args)
    assert issubclass(kind, Refused)


@pytest.mark.parametrize("token", ["other@1.00000000", "main@1.00000000", "main", ""])
def test_the_same_errors_of_revisions(both: Both, token: str) -> None:
    assert both.agree("check", ["refund-limit"], at_least=token)[1]["code"] in ("foreign_revision", "malformed")
    assert both.agree("entry", "refund-limit", at_least=token)[1]["code"] in ("foreign_revision", "malformed")


def test_errors_of_entries(both: Both) -> None:
    assert both.agree("entries", kinds=["nothing"])[0] is Malformed
    assert both.agree("check", ["a"], max_age_s=-1)[0] is Malformed
    assert both.agree("check", ["a"], max_age_s=float("nan"))[0] is Malformed
    assert both.agree("check", ["refund-limit"], max_age_s=float("inf"))["fresh"] == ["refund-limit"]


# --- writing --------------------------------------------------------------------------------------------------

WRITES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("record", ["belief", {"a": [1, 2.5, "é", None]}], {"key": "b", "because": [["refund-limit"], ["@5"]]}),
    ("record", ["belief", None], {}),
    ("record", ["belief", 1], {"valid_until": datetime(2100, 1, 1, tzinfo=UTC), "key": "c"}),
    ("record", ["belief", 1], {"key": "refund-ok", "expects": 7}),
    ("record", ["belief", 1], {"key": "b", "because": "refund-limit"}),
    ("record", ["dependency", 1], {}),
    ("record", ["belief", float("nan")], {}),
    ("record", ["belief", 2**60], {}),
    ("record", ["belief", "x" * (1 << 20)], {}),
    ("record", ["belief", {"deep": {1: 2}}], {}),
    ("record", ["mutation", 1], {"key": "refund-limit"}),
    ("revoke", ["pay", "quarantined"], {"reason": "…", "actor": "ann"}),
    ("revoke", ["nowhere"], {}),
    ("revoke", ["pay", "lost"], {}),
    ("reinstate", ["refund limit"], {}),
    ("reinstate", ["pay", ["@99"]], {}),
    ("verify", ["a+b&c=d", "sha256:" + "1" * 64], {"occurred_at": "2026-01-01T00:00:00Z"}),
    ("verify", ["a+b&c=d", "sha256:1"], {}),
    ("apply", [[{"op": "record", "kind": "belief", "content": 1}, {"op": "revoke", "target": "@5"}]], {"actor": "z"}),
    ("apply", [[{"op": "record", "kind": "belief", "content": 1}, {"op": "revoke", "target": "nowhere"}]], {}),
    ("apply", [[]], {}),
    ("apply", [[{"op": "batch", "commands": []}]], {}),
]


@pytest.mark.parametrize(("method", "args", "kwargs"), WRITES, ids=lambda one: str(one)[:40])
def test_writes(
    client: Any, clock: ManualClock, tmp_path: Path, method: str, args: list[Any], kwargs: dict[str, Any]
) -> None:
    """The same done to a ledger of its own comes out the same: its numbers, effects, verdicts and refusals."""
    write(client)
    with Ledger.open("memory:", clock=clock) as embedded:
        write(embedded)
        ours = _told(embedded, method, args, kwargs)
        assert _told(client, method, args, kwargs) == ours
        assert [one.ref for one in client.entries()] == [one.ref for one in embedded.entries()]


def _told(one: Any, method: str, args: Any, kwargs: Any) -> Any:
    """Without the hash in revisions: it covers the keys that a client makes."""
    try:
        told = getattr(one, method)(*args, **kwargs).as_dict()
    except LedgerError as error:
        return type(error), error.as_dict()
    for result in (told, *told.get("results", ())):
        result["revision"] = result["revision"].partition(".")[0]
    return told


def test_one_key_is_one_command(both: Both) -> None:
    given = {"key": "k", "idempotency_key": "mine", "occurred_at": datetime(2026, 1, 1, tzinfo=UTC)}
    first = both.client.record("belief", {"n": 1}, **given)
    assert both.embedded.record("belief", {"n": 1}, **given).entry == first.entry  # as sent, both are the same
    again = both.client.record("belief", {"n": 1}, **given)
    assert (again.replayed, again.entry) == (True, first.entry)
    assert both.agree("record", "belief", {"n": 2}, **given)[1]["code"] == "idempotency_conflict"


def test_each_write_has_a_key_of_its_own(client: Any) -> None:
    results = [client.record("belief", 1, key="a") for _ in range(3)]
    assert [(one.outcome, one.replayed) for one in results] == [
        ("recorded", False),
        ("repeated", False),
        ("repeated", False),
    ]


# --- ledgers --------------------------------------------------------------------------------------------------


def test_only_writing_creates(client: Any) -> None:
    """Over HTTP a ledger that nobody has written to is not there."""
    for read in (lambda: client.check(["a"]), lambda: client.entries(), lambda: list(client.export()), client.status):
        with pytest.raises(NoSuchLedger):
            read()
    with pytest.raises(NotCurrent):
        client.record("belief", 1, key="a", expects=3)
    with pytest.raises(NoSuchLedger):
        client.status()
    assert client.revision == "main@0.00000000"
    client.record("belief", 1, key="a")
    assert client.revision == client.status().revision


def test_ledgers_are_apart(service: Service, client: Any) -> None:
    client.record("belief", 1, key="a")
    with LedgerClient(service.address, "acme-prod") as other:
        other.record("belief", 2, key="b")
        with pytest.raises(NotFound):
            other.entry("a")
        assert (other.name, client.name) == ("acme-prod", "main")
