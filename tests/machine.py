"""A ledger as a state machine: all it does and all it says, now and in the past, in any order, beside the naive model.

Hypothesis draws the steps, cuts a failing history down to those that matter, and prints them as calls.
"""

from __future__ import annotations

import asyncio
import functools
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import pytest
from drawing import FIRST_PAGE, filters, moments, others, references, revisions, steps
from foresight import as_foreseen, foreseen, happens, is_noticed
from histories import ALL_REFS, KEYS, Step
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from test_differences import Told, expected_difference, expected_intervals, points
from test_properties import MAX_AGES_S, Game

from ledger import AsyncLedger
from ledger.clock import SECOND, parse_moment
from ledger.errors import ImpactChanged, Malformed, Refused, TagConflict
from ledger.model.entry import Entry, Event, Justification, Record
from ledger.model.impact import Impact
from ledger.model.view import Happening, LedgerDiff
from ledger.model.withdrawal import WithdrawalPlan
from ledger.store.base import Store
from ledger.testing.clock import ManualClock
from ledger.validity.lookup import MODE_FLAGS
from ledger.validity.oracle import Oracle

T = TypeVar("T")


class Then(NamedTuple):
    """A past: the last entry known then, and the clock."""

    upto: int
    clock_us: int


QUESTIONS_MAX = 2
"""In a row: a history is mostly writing, and there must be something to ask of."""


def question(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A rule that changes nothing of the log."""

    def decorated(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def counted(machine: LedgerMachine, **given: Any) -> None:
            machine.questions += 1
            function(machine, **given)

        return precondition(lambda machine: machine.entries and machine.questions < QUESTIONS_MAX)(
            rule(**drawn)(counted)
        )

    return decorated


# --- the machine -----------------------------------------------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """A ledger, its clock, and beside them its log and tags, of which the oracle says what they mean."""

    def __init__(self, another: Callable[[], Store], name: str, tally: Counter[str]) -> None:
        super().__init__()
        self._another = another  # a store on the same place, as another process would open it
        self._name = name
        self._tally = tally
        self._patch = pytest.MonkeyPatch()
        self._runner = asyncio.Runner()
        self.clock = ManualClock()
        self.entries: list[Entry] = []
        self.tags: dict[str, int] = {}
        self.questions = 0  # since something was written, or tried to be
        self._oracles: dict[int, Oracle] = {}
        self.game = Game(self._opened(), self.clock)

    def _opened(self) -> AsyncLedger:
        async def opened() -> AsyncLedger:
            return await AsyncLedger.open(self._another(), self._name, clock=self.clock)

        return self.do(opened())

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._runner.get_loop().run_until_complete(coroutine)  # `run` looks after Ctrl-C each time

    @property
    def ledger(self) -> AsyncLedger:
        return self.game.ledger

    def teardown(self) -> None:
        try:
            self.check(at=None, max_age_s=None)
            report = self.do(self.ledger.audit())
            assert report.ok, report.problems
        finally:
            self.do(self.ledger.close())
            self._runner.close()
            self._patch.undo()

    @initialize(known=st.integers(0, len(FIRST_PAGE)), wide=st.sampled_from([None, 0, 1]))
    def begin(self, known: int, wide: int | None) -> None:
        """With so much of a page, and waves that are wide from so many editions on (None: as ever)."""
        for module in ("index", "trail") if wide is not None else ():
            self._patch.setattr(f"ledger.validity.{module}.WIDE", wide)
        self.write([(0, command) for command in FIRST_PAGE[:known]])

    # -- what is done

    @rule(steps=st.lists(steps(), min_size=1, max_size=6))
    def write(self, steps: list[Step]) -> None:
        for step in steps:
            self.do(self.game.play(step))
        self._heard()

    @question(seconds=st.integers(1, 9))
    def wait(self, seconds: int) -> None:
        self.clock.wait(seconds)

    @rule(step=steps(), before=others)
    def foresee(self, step: Step, before: list[Step] | None) -> None:
        """What a batch would do is what it does, unless others come `before` and change that."""
        seconds, command = step
        self.clock.wait(seconds)
        batch = command if command["op"] == "batch" else {"op": "batch", "commands": [command]}
        told = self.do(foreseen(self.game, batch))
        if before is not None:
            self.write(before)
            later = self.do(foreseen(self.game, batch))
            if isinstance(told, Impact):
                moved = self.do(is_noticed(self.game, batch, told, later))
                self._tally["plan moved" if moved else "plan stayed"] += 1
            told = later
        self.do(happens(self.game, batch, told))
        self._heard()
        self._tally["foreseen fall"] += isinstance(told, Impact) and told.fell.count > 0
        self._tally["foreseen repair"] += isinstance(told, Impact) and told.remediation.count > 0
        self._tally["foreseen refusal"] += isinstance(told, Refused)

    @rule(
        asked=filters(),
        mode=st.sampled_from(list(MODE_FLAGS)[::-1]),
        before=others,
    )
    def withdraw(self, asked: dict[str, Any], mode: str, before: list[Step] | None) -> None:
        """What fits is planned, and exactly that is withdrawn, unless others come `before` and change it."""
        planned = functools.partial(self.ledger.plan_withdrawal, mode=mode, limit=1000, **asked)
        plan = now = self.do(planned())
        self._is_what_fits(plan, asked, mode)
        if before is not None:
            self.write(before)
            now = self.do(planned())
        if now.digest == plan.digest:
            done = self.do(as_foreseen(self.game, lambda: self.ledger.withdraw(plan), plan.impact))
            assert done.count == plan.count
            self._tally["withdrawn"] += done.count > 1
            self._tally["foreseen repair"] += plan.impact.remediation.count > 0
        else:
            with pytest.raises(ImpactChanged):
                self.do(self.ledger.withdraw(plan))
            self._tally["withdrawal moved"] += 1
        self._heard()

    def _is_what_fits(self, plan: WithdrawalPlan, asked: dict[str, Any], mode: str) -> None:
        """The editions of the entries that fit, without those withdrawn so already; each named once."""
        entries = self.do(self.ledger.entries(limit=1000, **asked))
        with self.ledger._service.live.durable as index:
            flag = MODE_FLAGS[mode]
            standing = index.withdrawals.items()
            withdrawn = {edition for edition, each in standing if any(one.flag == flag for one in each)}
            fits = {index.edition[entry.seq] for entry in entries if index.is_record(entry.seq)} - withdrawn
            targets = [int(target[1:]) for target in plan.targets]
            named = [index.edition[seq] for seq in targets if index.is_record(seq)]
            assert len(named) == len(set(named))
            assert set(named) <= fits
            assert set(named) == fits or mode == "erased"  # one erasure takes what shares its content along
            support = {seq for seq in targets if not index.is_record(seq)}
            assert support <= {entry.seq for entry in entries if entry.kind == "justification"}
            assert not {index.edition[seq] for seq in support} & (set(named) | withdrawn)

    @question(name=st.sampled_from("abc"), revision=st.none() | revisions())
    def tag(self, name: str, revision: str | None) -> None:
        """A name for good, of a revision or the head."""
        upto = self.then(revision).upto
        if self.tags.get(name, upto) != upto:
            with pytest.raises(TagConflict):
                self.do(self.ledger.tag(name, revision))
            self._tally["tag taken"] += 1
        else:
            told = self.do(self.ledger.tag(name, revision))
            assert (told.revision, told.created) == (self.token(upto), name not in self.tags)
            self.tags[name] = upto
        named = {one.name: one.revision for one in self.do(self.ledger.tags())}
        assert named == {name: self.token(upto) for name, upto in self.tags.items()}

    @question()
    def reopen(self) -> None:
        """As another process would find it: of what passed unseen only the log tells."""
        self.do(self.ledger.close())
        self.game.ledger = self._opened()

    # -- what is said

    @question(at=st.none() | revisions() | moments(), max_age_s=st.sampled_from(MAX_AGES_S))
    def check(self, at: str | None, max_age_s: int | None) -> None:
        """Every reference, all counts, and the acts to repair."""
        then, report = self.then(at), self.do(self.ledger.check(ALL_REFS, at=at, max_age_s=max_age_s))
        assert (report.revision, report.clock_us) == (self.token(then.upto), then.clock_us)
        oracle, max_age_us = self.oracle(then.upto), None if max_age_s is None else max_age_s * SECOND
        for verdict in report.verdicts:
            assert verdict == oracle.verdict(verdict.ref, then.clock_us, max_age_us)
        known = [one for one in (oracle.verdict(key, then.clock_us) for key in KEYS) if one.id is not None]
        states = Counter(" ".join(filter(None, (one.state, one.reason))) for one in known)
        assert self.do(self.ledger.status(at=at)).states == states
        remedies = self.do(self.ledger.remediation(at=at))
        told = tuple(sorted(one.entry.seq for one in remedies if one.needed == needed) for needed in (True, False))
        assert told == oracle.remediation(then.clock_us)
        self._tally["stale in the past"] += at is not None and "unsupported" in {one.reason for one in report.verdicts}

    @question(ref=references(), at=st.none() | revisions() | moments())
    def why(self, ref: str, at: str | None) -> None:
        then = self.then(at)
        oracle = self.oracle(then.upto)
        if (verdict := oracle.verdict(ref, then.clock_us)).id is None:
            with pytest.raises(Refused) as refused:
                self.do(self.ledger.why(ref, at=at))
            assert refused.value.code == verdict.reason
        else:
            told = self.do(self.ledger.why(ref, at=at))
            assert (told.revision, told.verdict) == (self.token(then.upto), verdict)

    @question(ref=references(), at=st.none() | revisions() | moments())
    def history(self, ref: str, at: str | None) -> None:
        """Its entries, its editions, and the states these went through."""
        then = self.then(at)
        try:
            seq = self.oracle(then.upto).resolve(ref)
        except Refused as refusal:
            with pytest.raises(type(refusal)):
                self.do(self.ledger.history(ref, at=at))
            return
        told = self.do(self.ledger.history(ref, at=at))
        about, births = self._about(seq, then.upto)
        assert [entry.seq for entry in told] == about
        assert [one.id for one in told.editions.last] == [f"@{birth}" for birth in births]
        line = self._told()
        for birth, edition in zip(births, told.editions.last, strict=True):
            expected = expected_intervals(line, then, birth)
            assert edition.states.count == len(expected)
            for state, one in zip(edition.states.last, expected, strict=True):
                assert _event(state.since) == one.since
                assert (None if state.until is None else _event(state.until)) == one.until
                assert (state.reason, state.cause) == (one.reason, None if one.cause is None else f"@{one.cause}")
            self._tally["long history"] += len(expected) > 3

    def _about(self, seq: int, upto: int) -> tuple[list[int], list[int]]:
        """The entries about what a version is a version of, and those of them that began an edition."""
        known = self.entries[:upto]
        one = known[seq - 1]
        assert isinstance(one, Record)
        records = [each for each in known if isinstance(each, Record)]
        versions = [each for each in records if each is one or (each.key is not None and each.key == one.key)]
        about, superseding = {each.seq for each in versions}, set[int]()
        for each in known:
            if isinstance(each, Event) and about & set(each.targets):
                about.add(each.seq)
            if isinstance(each, Record | Justification) and about & set(each.supersedes):
                superseding.add(each.seq)
        return sorted(about | superseding), [each.seq for each in versions if each.amends is None]

    @question(since=revisions() | moments(), to=st.none() | revisions() | moments())
    def diff(self, since: str, to: str | None) -> None:
        """What is different, and what made it so."""
        before, after = self.then(since), self.then(to)
        if before > after:
            with pytest.raises(Malformed):
                self.do(self.ledger.diff(since, to))
            return
        told = self.do(self.ledger.diff(since, to, limit=1000))
        self._holds_what_was_recorded(told, self.entries[before.upto : after.upto])
        line, oracle = self._told(), self.oracle(after.upto)
        expected = expected_difference(line, before, after)
        for turns, turned in zip((told.fallen, told.revived), expected, strict=True):
            births = {line.index.birth[line.index.edition[int(one.verdict.id[1:])]]: one for one in turns.first}
            assert {birth: _event(one.event) for birth, one in births.items()} == turned
            assert turns.count == len(turned)
            for one in turns.first:
                assert one.verdict == oracle.verdict(one.verdict.ref, after.clock_us)
        self._tally["fallen between"] += told.fallen.count > 0
        self._tally["revived between"] += told.revived.count > 0

    def _holds_what_was_recorded(self, told: LedgerDiff, between: list[Entry]) -> None:
        lists: dict[str, list[int]] = {name: [] for name in ("recorded", "amended", "withdrawn", "reinstated", "noted")}
        for entry in between:
            name = {"revocation": "withdrawn", "reinstatement": "reinstated"}.get(entry.kind, "noted")
            if isinstance(entry, Record):
                name = "recorded" if entry.amends is None else "amended"
            lists[name].append(entry.seq)
        assert {name: [one.seq for one in getattr(told, name).first] for name in lists} == lists

    # -- the model

    def then(self, at: str | None) -> Then:
        """The past that is named: batches are whole, and a revision's clock is when it was recorded."""
        if at is None:
            return Then(len(self.entries), self.clock.now_us)
        if at.startswith("tag:"):
            upto = self.tags[at.removeprefix("tag:")]
        elif "@" in at:
            batch = self.entries[int(at.partition("@")[2].partition(".")[0]) - 1].batch
            upto = max(entry.seq for entry in self.entries if entry.batch == batch)
        else:
            moment_us = parse_moment(at)
            return Then(sum(entry.recorded_at_us <= moment_us for entry in self.entries), moment_us)
        return Then(upto, self.entries[upto - 1].recorded_at_us)

    def oracle(self, upto: int) -> Oracle:
        """What the first entries mean."""
        if upto not in self._oracles:
            self._oracles[upto] = Oracle(self.entries[:upto])
        return self._oracles[upto]

    def token(self, seq: int) -> str:
        return self.ledger._service.live.revision_of(seq)

    def _told(self) -> Told:
        """What the oracle says behind every entry and limit, until now."""
        with self.ledger._service.live.durable as index:
            index.advance(self.clock())
            return Told(index, self.entries, list(points(index, self.entries, self.oracle)))

    def _heard(self) -> None:
        """Read on in the log."""
        service = self.ledger._service
        self.entries += [sealed.entry for sealed in self.do(service.store.read(self._name, len(self.entries)))]
        self.questions = 0


def _event(happening: Happening) -> tuple[int, int]:
    entry = 0 if happening.entry is None else int(happening.entry[1:])
    return parse_moment(happening.at), entry
