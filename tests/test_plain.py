"""The short ways come to what the long way comes to: of reading a command, of judging one, and of judging many."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import orjson
import pytest
from foresight import all_of
from histories import Author
from hypothesis import given
from hypothesis import strategies as st

from ledger import AsyncLedger, Ledger
from ledger.errors import LedgerError, Refused
from ledger.model.canonical import parse_json
from ledger.model.command import RecordCommand, parse_command
from ledger.model.entry import Entry
from ledger.model.plain import plain_record
from ledger.model.result import BatchResult
from ledger.service import judge, plain
from ledger.service.garbage import uncollected
from ledger.service.judge import Judge
from ledger.store.memory import MemoryStore
from ledger.testing.clock import ManualClock
from ledger.validity import building
from ledger.validity.index import Index

REFUSED = [
    {"because": [["nobody"]]},
    {"because": [["@999"]]},
    {"because": [["@3"]]},  # an event
    {"because": [["a"], ["a", "@999"]]},
    {"because": [["a@sha256:00000000"]]},
]
PLAIN: list[dict[str, Any]] = [
    {"because": [["a"], ["a", "b"]]},
    {"because": [["b"]]},  # revoked
    {"because": [["b"], ["a"]]},
    {"because": [["a", "a@1", "@1"]]},
    {"expects": 0, "actor": "somebody", "occurred_at": "2020-01-01T00:00:00Z"},
    {"key": None},
]


async def log_of(commands: list[tuple[float, dict[str, Any]]]) -> tuple[list[Any], list[bytes]]:
    """What each command is answered, and the hashes of the log it made."""
    store, clock, answers = MemoryStore(), ManualClock(), list[Any]()
    async with AsyncLedger.open(store, clock=clock) as ledger:
        for seconds, command in commands:
            clock.wait(seconds)
            try:
                answers.append(await ledger._service.apply(command))
            except Refused as refused:
                answers.append(refused.as_dict())
    return answers, [sealed.hash for sealed in await store.read("main", 0, 10_000)]


async def both_ways(
    commands: list[tuple[float, dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Any], int]:
    """The answers, once they are the same both ways; and how many commands went the short way."""
    short, went = judge.record_plain, 0

    def counted(*given: Any) -> Any:
        nonlocal went
        went += 1
        return short(*given)

    with monkeypatch.context() as patch:
        patch.setattr(judge, "record_plain", counted)
        found = await log_of(commands)
        patch.setattr(judge, "is_plain", lambda *_: False)
        assert await log_of(commands) == found
    return found[0], went


def record(**more: Any) -> tuple[float, dict[str, Any]]:
    return 1.0, {"op": "record", "kind": "belief", "key": "new", "content": 1} | more


async def test_what_is_new_comes_to_the_same_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [record(key="a"), record(key="b", content=2), (1.0, {"op": "revoke", "target": "b"})]
    answers, went = await both_ways(
        [
            *before,
            *(
                record(key=f"n/{number}", **more) if "key" not in more else record(**more)
                for number, more in enumerate([*PLAIN, *REFUSED])
            ),
        ],
        monkeypatch,
    )
    assert went == 2 + len(PLAIN) + len(REFUSED)
    recorded, refused = answers[3 : 3 + len(PLAIN)], answers[3 + len(PLAIN) :]
    assert all(isinstance(one, BatchResult) and one.results[0].outcome == "recorded" for one in recorded)
    assert [one.results[0].verdict.state for one in recorded] == ["fresh", "stale", "fresh", "fresh", "fresh", "fresh"]
    assert [one["code"] for one in refused] == ["not_found", "not_found", "not_a_premise", "not_found", "not_found"]


@pytest.mark.parametrize("block", range(2))
def test_histories_come_to_the_same_both_ways(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 histories of 40 steps, idempotency keys that come again among them."""

    async def histories() -> int:
        went = 0
        for seed in range(block * 50, block * 50 + 50):
            author, dice = Author(seed), random.Random(seed)
            async with AsyncLedger.open("memory:", clock=ManualClock()) as ledger:
                steps = []
                for _ in range(40):
                    steps.append(author.step(ledger))
                    if dice.random() < 0.1:
                        steps.append(dice.choice(steps))
                    with contextlib.suppress(Refused):
                        await ledger._service.apply(steps[-1][1])
            went += (await both_ways(steps, monkeypatch))[1]
        return went

    assert asyncio.run(histories()) > 200


# -- reading ----------------------------------------------------------------------------------------------------------

names = (
    st.sampled_from(["b/1", "a b", " a", "a ", "", "@1", "k@2", "é", "a\u0301", "n" * 513, "x\n", "\u2028"]) | st.text()
)
refs = st.sampled_from(["@1", "@" + "1" * 16, "b/1", "b/1@2", "b/1@sha256:00", "b/1@sha256:00000000", "", " b"]) | names
scalars = st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, -(2**53), 1.0, 0.5, 1e300, True, None, "", "é", "\u0001"])
contents = st.recursive(scalars, lambda one: st.lists(one, max_size=3) | st.dictionaries(names, one, max_size=3))
odd = st.sampled_from([None, 0, 1.0, True, "x", [], {}, ["a"], [["a"]], [[]], "2026-01-01T00:00:00Z"])
fields = {
    "op": st.sampled_from(["record", "record", "record", "revoke", 1]),
    "kind": st.sampled_from(["belief", "dependency", "mutation", "nothing", 1]),
    "key": names,
    "content": contents,
    "content_digest": st.sampled_from(["sha256:" + "0" * 64, "sha256:0"]),
    "because": st.lists(st.lists(refs, max_size=3), max_size=2),
    "cites": st.lists(refs, max_size=2),
    "supersedes": st.lists(refs, max_size=2),
    "amends": st.sampled_from([0, 1, 2**53, 1.0]),
    "expects": st.sampled_from([0, 1, -1]),
    "restate": st.booleans(),
    "require_fresh": st.booleans(),
    "valid_until": st.sampled_from(["2026-01-01T00:00:00Z", "soon", None, 5]),
    "actor": names,
    "occurred_at": st.sampled_from(["2026-01-01T00:00:00Z", None, 5]),
    "idempotency_key": names,
    "unknown": st.just(1),
}


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """A record, mostly as a program writes it; some of its fields odd, twice there, or in another form."""
    few = st.sampled_from([name for name in fields if name not in ("op", "kind", "content")])
    pairs = [("op", "record")] * draw(st.sampled_from([1, 1, 1, 0])) + [
        ("kind", "belief"),
        ("key", draw(names)),
        ("content", draw(contents)),
    ]
    pairs += [(name, draw(fields[name])) for name in draw(st.lists(few, max_size=4, unique=True)) if name != "key"]
    if draw(st.integers(0, 3)) == 0:
        name = draw(st.sampled_from(list(fields)))
        pairs.insert(draw(st.integers(0, len(pairs))), (name, draw(fields[name] | odd)))
    ways = [lambda value: json.dumps(value, ensure_ascii=False), json.dumps, lambda value: json.dumps(value, indent=1)]
    write = draw(st.sampled_from([ways[0]] * 4 + ways))
    gap = draw(st.sampled_from(["", "", "", " "]))
    texts = [f"{json.dumps(name)}:{gap}{write(value)}" for name, value in draw(st.permutations(pairs))]
    plainly = "{" + ",".join(texts) + "}"
    if write is ways[0]:  # programs leave out the spaces too
        plainly = plainly.replace(", ", ",").replace(": ", ":")
    return plainly.encode("utf-8", "surrogatepass")


def read(text: bytes) -> Any:
    """What the long way says of a line."""
    return parse_command(parse_json(text))


def known_of(command: Any) -> dict[str, Any]:
    return msgspec.structs.asdict(command) | {"sent": command.sent_digest, "form": command.content_form}


def same_both_ways(text: bytes) -> bool:
    """Whether a line went the short way; then it came to the same."""
    try:
        short = plain_record(text)
    except LedgerError as error:
        with pytest.raises(type(error)) as told:
            read(text)
        assert told.value.as_dict() == error.as_dict()
        return True
    if short is None:
        return False
    long = read(text)
    assert isinstance(short, RecordCommand)
    assert isinstance(long, RecordCommand)
    assert known_of(short) == known_of(long)
    return True


@given(lines())
def test_lines_are_read_the_same_both_ways(text: bytes) -> None:
    same_both_ways(text)


def line(**fields: Any) -> bytes:
    return orjson.dumps({"op": "record", "kind": "belief", "key": "b", "content": 1} | fields)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (line(), True),
        (line(idempotency_key='a"b\\', actor="é"), True),
        (line(content={"a": [{"b": 1}, None, True]}, because=[["@1", "x"]], cites=["y"], expects=0), True),
        (line(because=[["@"]]), True),  # refused, and told the same
        (line(key="@1"), True),
        (line(content={"a": [{"b": [{}]}]}), False),  # deep
        (line(content=1.0), False),
        (line(content={"é": 1}), False),
        (line().replace(b'"op":"record",', b"")[:-1] + b" " * 14 + b"}", False),
        (line(content_digest="sha256:" + "0" * 64 + "\n"), False),
        (line(restate=False), False),  # said, though it need not be
        (line(because=[]), False),
        (line(amends=1), False),
        (line(valid_until="2026-01-01T00:00:00Z"), False),
        (line(occurred_at=5), False),
        (line().replace(b":1}", b": 1}"), False),
        (line().replace(b'"content":1', b'"content":1,"key":"b"'), False),
        (line().replace(b'"content":1', b'"content":1e0'), False),
        (b"[]", False),
        (b"\xff", False),
        (line(content="x").replace(b"x", b"\xff"), False),
        (line(content="x").replace(b"x", b"\\ud800"), False),
    ],
)
def test_which_lines_are_plain(text: bytes, short: bool) -> None:
    assert same_both_ways(text) is short


# -- many -------------------------------------------------------------------------------------------------------------


def run_of(dice: random.Random) -> Iterator[dict[str, Any]]:
    """Commands of which most are plain, and build on each other."""
    for number in range(dice.randint(1, 60)):
        command: dict[str, Any] = {"op": "record", "kind": dice.choice(["belief", "mutation"]), "content": number}
        if dice.random() < 0.9:
            command["key"] = f"k/{dice.randrange(number + 1) if dice.random() < 0.05 else number}"
        if number and dice.random() < 0.6:
            names = [f"@{dice.randint(1, number + (dice.random() < 0.02))}", f"k/{dice.randrange(number)}"]
            names.append(f"k/{dice.randrange(number)}@{dice.choice([1, 1, 1, 2])}")
            weights = [4, 4, 1]
            some = range(2 if dice.random() < 0.1 else 1)
            command["because"] = [dice.choices(names, weights, k=dice.randint(1, 3)) for _ in some]
        if dice.random() < 0.4:
            command["idempotency_key"] = f"i{number if dice.random() < 0.97 else dice.randrange(number + 1)}"
        if dice.random() < 0.2:
            command |= {"actor": "ann", "occurred_at": "2020-01-01T00:00:00Z"}
        if number and dice.random() < 0.06:
            command = {"op": "revoke", "target": f"k/{dice.randrange(number)}"}
        if number and dice.random() < 0.03:
            command = {"op": "record", "kind": "dependency", "key": f"d/{number}", "content": 1, "supersedes": ["k/0"]}
        yield command


async def imported(commands: list[dict[str, Any]]) -> tuple[list[Any], list[Any], list[bytes]]:
    """What was answered to files of these commands, what each that passed was told, and the log they made."""
    store, told, reports = MemoryStore(), list[Any](), list[Any]()
    async with AsyncLedger.open(store, clock=ManualClock()) as ledger:
        service = ledger._service
        rest = [parse_command(command) for command in commands]
        while rest:
            submission = await service.committer.submit(rest)
            told += [answer.result(service.live) for answer in submission.answers]
            if (refusal := submission.refusal) is not None:
                reports.append(refusal.as_dict())
            rest = rest[len(submission.answers) + 1 :]
    return reports, told, [sealed.hash for sealed in await store.read("main", 0, 10_000)]


@pytest.mark.parametrize("block", range(4))
def test_many_come_to_the_same_as_each(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 files: in runs of any length, and one by one."""
    went = 0

    def counted(index: Index, run: plain.PlainRun, now_us: int) -> tuple[list[Entry], list[Any]]:
        nonlocal went
        went += len(run.commands)
        return plain.record_run(index, run, now_us)

    monkeypatch.setattr(judge, "pays", lambda _: True)
    monkeypatch.setattr(judge, "record_run", counted)
    for seed in range(block * 50, block * 50 + 50):
        commands = list(run_of(random.Random(seed)))
        found = {}
        for least in (1, 5, 1_000):
            monkeypatch.setattr(judge, "RUN_MIN", least)
            found[least] = asyncio.run(imported(commands))
        assert found[1] == found[5] == found[1_000], seed
    assert went > 1_000


def test_many_are_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged and not committed leaves no trace; on the way back to any of several savepoints."""
    monkeypatch.setattr(judge, "pays", lambda _: True)
    monkeypatch.setattr(judge, "RUN_MIN", 2)
    for seed in range(50):
        commands = [parse_command(command) for command in run_of(random.Random(seed))]
        index, states = Index(), list[Any]()
        index.advance(1)
        one = Judge(index, 1, {})
        for start in range(0, len(commands), 7):
            states.append((index.savepoint(), all_of(index)))
            with contextlib.suppress(Refused):
                list(one.judge_each(commands[start : start + 7]))
        for savepoint, state in reversed(states):
            index.rollback(savepoint)
            assert all_of(index) == state, seed


@pytest.mark.parametrize(
    "step",
    ["_digests", "_append_support", "_append_entries", "_append_editions", "_append_keys", "_link_edges", "_overtake"],
)
def test_what_fails_on_the_way_leaves_nothing(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends a run halfway: rolled back, the index is as it was, and goes on as if nothing had been."""
    monkeypatch.setattr(judge, "pays", lambda _: True)
    monkeypatch.setattr(judge, "RUN_MIN", 1)
    first, second = (
        [parse_command({"op": "record", "kind": "mutation", "key": f"{name}/{number}", "content": number} | more)]
        for name, number, more in (("a", 1, {}), ("b", 2, {"because": [["a/1"]], "idempotency_key": "i"}))
    )
    index = Index()
    one = Judge(index, 1, {})
    index.advance(1)
    index.savepoint()
    list(one.judge_each(first))
    savepoint, before = index.savepoint(), all_of(index)

    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(building, step, fail)
        with pytest.raises(ZeroDivisionError):
            list(one.judge_each(second))
    index.rollback(savepoint)
    assert all_of(index) == before
    (judgement,) = one.judge_each(second)
    assert judgement.outcomes[0].verdict.ref == "b/2@1"


def test_a_digest_ends_where_it_ends() -> None:
    """A line feed behind it is refused, and nothing of its file but what came before is known."""
    text = line(key="odd", content_digest="sha256:" + "ab" * 32 + "\n").replace(b'"content":1,', b"")
    with Ledger.open("memory:") as ledger:
        with pytest.raises(Refused) as told:
            ledger.import_lines([*(line(key=f"k{number}") for number in range(150)), text, line(key="after")])
        assert told.value.details["line"] == 151
        assert ledger.check(["k3"]).fresh
        assert not ledger.check(["after"]).fresh
        assert ledger.audit().ok


def test_the_collector_rests_until_the_last_has_left() -> None:
    first, second = uncollected(), uncollected()
    assert gc.isenabled()
    with first:
        second.__enter__()
        assert not gc.isenabled()
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()
    gc.disable()
    with uncollected():
        assert not gc.isenabled()
    assert not gc.isenabled()
    gc.enable()
