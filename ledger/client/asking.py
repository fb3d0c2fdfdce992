"""Every method of a ledger, as the requests it makes and what it makes of the answers. No wire, no waiting."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from ledger.client.exchange import JSON_LINES, Request, Steps, ask, commands, decoded, read, with_query
from ledger.clock import parse_moment
from ledger.errors import LedgerError, Malformed, NoSuchLedger, ServiceError
from ledger.model.bounds import check_listed, check_names, check_walk
from ledger.model.change import CHANGE_FIRST_MAX
from ledger.model.entry import EMPTY, Head, parse_revision, revision_token
from ledger.model.impact import IMPACT_NAMES, Impact
from ledger.model.listing import Listing, Wanted
from ledger.model.reference import check_ledger, check_reference, references_in
from ledger.model.result import BatchResult, Result
from ledger.model.verdict import UNKNOWN, Report, Verdict
from ledger.model.view import (
    GRAPH_NODES_MAX,
    AuditProgress,
    AuditReport,
    EntryPage,
    EntryView,
    Explanation,
    GraphSlice,
    History,
    ImportReport,
    LedgerComparison,
    LedgerDiff,
    NamedRevision,
    Remediation,
    Remedy,
    Restored,
    Status,
    Tagged,
    Tags,
)
from ledger.model.withdrawal import Planning, WithdrawalPlan, Withdrawing, Withdrawn
from ledger.model.writing import Moment, Refs, Writing, batch_of

T = TypeVar("T")

PAGE_ENTRIES = 1_000
"""Entries asked for at once."""

AGE_S_MAX = 1e12
"""Older than anything."""

PIECE_BYTES = 64 << 10
"""Of a log that is sent: a line a piece is a system call each."""


class _Told(msgspec.Struct):
    """The answer to a check."""

    revision: str
    clock: str
    verdicts: list[Verdict]


class Asking(
    Writing[Steps[Result], Steps[BatchResult]],
    Listing[Steps[list[EntryView]]],
    Planning[Steps[WithdrawalPlan], Steps[Withdrawn]],
):
    """One ledger of a service, and what this client knows of it: the newest revision it heard of, and its own writes.

    With `read_own_writes` every read names the last revision that this client wrote, so that no other process of the
    service answers without it.
    """

    def __init__(self, ledger: str, *, read_own_writes: bool) -> None:
        self.name = ledger
        self.revision = revision_token(ledger, 0, EMPTY.hash)
        self._read_own_writes = read_own_writes
        self._own: str | None = None
        self._lock = threading.Lock()  # a client may be used from several threads

    # -- writing ------------------------------------------------------------------------------------------------------

    def _one(self, command: dict[str, Any]) -> Steps[Result]:
        return self._write(command, Result)

    def _batch(self, command: dict[str, Any]) -> Steps[BatchResult]:
        return self._write(command, BatchResult)

    def _write(self, command: dict[str, Any], kind: type[T]) -> Steps[T]:
        # Imported by the first write: to build the models of commands takes longer than a whole check.
        from ledger.client.sending import line_of

        key = command.get("idempotency_key")
        if key is None:
            key = f"client:{uuid.uuid4().hex}"
        try:
            answer = yield from ask(commands(line_of({**command, "idempotency_key": key}), key=key))
        except LedgerError as error:
            error.details.pop("line", None)  # there was but one
            raise
        result = decoded(answer.body, kind)
        self.wrote(result.revision)  # type: ignore[attr-defined]
        return result

    def import_lines(
        self, lines: Iterable[bytes], *, atomic: bool = False, progress: Callable[[int], None] | None = None
    ) -> Steps[ImportReport]:
        """Apply an interchange file, each line a batch of its own; stops at the first error, which names its line."""
        from ledger.client.importing import import_lines

        tally = yield from import_lines(lines, atomic, progress, self.wrote)
        return tally.report(self.revision if tally.lines else (yield from self.now()))

    def restore(self, lines: Iterable[bytes], *, progress: Callable[[int], None] | None = None) -> Steps[Head]:
        """Bring a verbatim log into a ledger that is empty or holds its beginning, verifying every hash.

        `progress` hears of what was sent.
        """
        request = Request("POST", "restore", _pieces(lines, progress), JSON_LINES, takes_long=True)
        told = decoded((yield from ask(request)).body, Restored)
        self.wrote(told.revision)
        return told.head

    # -- reading: entries is that of `Listing` ------------------------------------------------------------------------

    def check(
        self,
        refs: Refs,
        *,
        max_age_s: float | None = None,
        at: str | None = None,
        at_least: str | None = None,
        full: bool = False,
    ) -> Steps[Report]:
        """A verdict for each reference, in the order asked; all as of one revision.

        With `full` as of all that the store holds now: it is asked first. With `at`, a revision or a moment (RFC 3339),
        as the ledger would have answered then.
        """
        asked = references_in(refs)
        sent = [ref for ref in asked if _is_text(ref)]
        answer = yield from ask(Request("POST", "freshness", self._question(sent, max_age_s, at, at_least, full)))
        told = decoded(answer.body, _Told)
        if [verdict.ref for verdict in told.verdicts] != sent:
            raise ServiceError("these verdicts are not of the references asked; what is between here and the service?")
        self.heard(told.revision)
        clock_us = parse_moment(told.clock)
        if len(sent) == len(asked):
            return Report(told.revision, clock_us, asked, tuple(told.verdicts))
        verdicts = iter(told.verdicts)
        found = (next(verdicts) if _is_text(ref) else Verdict(str(ref), UNKNOWN, "malformed") for ref in asked)
        return Report(told.revision, clock_us, asked, tuple(found))

    def why(
        self, ref: str, *, max_age_s: float | None = None, at: str | None = None, at_least: str | None = None
    ) -> Steps[Explanation]:
        """The verdict, and the path from the root cause to it."""
        return self._read(Explanation, "why", at_least, at=at, ref=check_reference(ref), max_age_s=_span(max_age_s))

    def entry(self, ref: str, *, at: str | None = None, at_least: str | None = None) -> Steps[EntryView]:
        """The entry a reference names; `@42` names an event itself."""
        return self._read(EntryView, "entry", at_least, at=at, ref=check_reference(ref))

    def _entries(
        self, wanted: Wanted, after: int, limit: int, content: bool, at: str | None, at_least: str | None
    ) -> Steps[list[EntryView]]:
        found: list[EntryView] = []
        more = wanted.kinds != []  # of no kind there is none; to name none over HTTP means all
        while more and len(found) < limit:
            page = yield from self._read(
                EntryPage,
                "entries",
                at_least,
                at=at,
                **msgspec.structs.asdict(wanted),
                after=found[-1].seq if found else after,
                limit=min(limit - len(found), PAGE_ENTRIES),
                content=content,
            )
            found += page.entries
            more = page.more and bool(page.entries)
        return found

    def history(self, ref: str, *, at: str | None = None, at_least: str | None = None) -> Steps[History]:
        """Every version of a key and every event about them, oldest first; and, in `editions`, the states these went
        through."""
        entries: list[EntryView] = []
        while True:
            after = entries[-1].seq if entries else None
            found = yield from self._read(History, "history", at_least, at=at, ref=check_reference(ref), after=after)
            entries += found.entries
            if not (found.more and found.entries):
                return msgspec.structs.replace(found, entries=tuple(entries), more=False)

    def diff(
        self, from_: str, to: str | None = None, *, limit: int = CHANGE_FIRST_MAX, at_least: str | None = None
    ) -> Steps[LedgerDiff]:
        """What is different `to` a revision or a moment (None: now), from another: what was recorded, withdrawn and
        reinstated, and what fell and revived by that, or by time that passed.

        Each list names the first `limit`, a thousand at most, and counts all.
        """
        check_listed(limit)
        if from_ is None:
            raise Malformed("from is missing", field="from")
        return self._read(LedgerDiff, "diff", at_least, **{"from": from_}, to=to, limit=limit)

    def compare(
        self,
        other: str,
        *,
        at: str | None = None,
        other_at: str | None = None,
        limit: int = CHANGE_FIRST_MAX,
        at_least: str | None = None,
    ) -> Steps[LedgerComparison]:
        """What is different of the current versions of all keys, here and in another ledger of the same store: keys
        that only one has, contents, verdicts. `at` is a past of this one, `other_at` of the other.

        Each list names the first `limit`, a thousand at most, and counts all.
        """
        check_listed(limit)
        check_ledger(other)
        return self._read(LedgerComparison, "compare", at_least, other=other, at=at, other_at=other_at, limit=limit)

    def causes(
        self,
        ref: str,
        *,
        depth: int | None = None,
        limit: int = GRAPH_NODES_MAX,
        at: str | None = None,
        at_least: str | None = None,
    ) -> Steps[GraphSlice]:
        """What it rests on, and what felled any of that."""
        check_walk(depth, limit)
        return self._read(GraphSlice, "causes", at_least, at=at, ref=check_reference(ref), depth=depth, limit=limit)

    def consequences(
        self,
        ref: str,
        *,
        depth: int | None = None,
        limit: int = GRAPH_NODES_MAX,
        at: str | None = None,
        at_least: str | None = None,
    ) -> Steps[GraphSlice]:
        """What rests on it."""
        check_walk(depth, limit)
        return self._read(
            GraphSlice, "consequences", at_least, at=at, ref=check_reference(ref), depth=depth, limit=limit
        )

    def remediation(self, *, at: str | None = None, at_least: str | None = None) -> Steps[list[Remedy]]:
        """Executed mutations that lost their ground (law 16)."""
        return list((yield from self._read(Remediation, "remediation", at_least, at=at)).remediation)

    def impact(
        self,
        commands: Iterable[Mapping[str, Any]],
        *,
        actor: str | None = None,
        occurred_at: Moment | None = None,
        idempotency_key: str | None = None,
        limit: int = IMPACT_NAMES,
        at_least: str | None = None,
    ) -> Steps[Impact]:
        """What `apply` would do with these commands now: what would fall and revive, which acts would need repair.

        Nothing is recorded. What would be refused is refused. At most `limit` names in each list, and 1,000.
        """
        from ledger.client.sending import line_of

        check_names(limit)
        batch = batch_of(commands, actor=actor, occurred_at=occurred_at, idempotency_key=idempotency_key)
        path = with_query("impact", limit=limit, at_least=self._floor(at_least))
        try:
            answer = yield from ask(Request("POST", path, line_of(batch)))
        except LedgerError as error:
            error.details.pop("line", None)  # there was but one
            raise
        impact = decoded(answer.body, Impact)
        self.heard(impact.revision)
        return impact

    def _plan(self, asked: Withdrawing, limit: int, at_least: str | None) -> Steps[WithdrawalPlan]:
        check_names(limit)
        path = with_query("withdrawal/plan", limit=limit, at_least=self._floor(at_least))
        answer = yield from ask(Request("POST", path, msgspec.json.encode(asked)))
        plan = decoded(answer.body, WithdrawalPlan)
        self.heard(plan.impact.revision)
        return plan

    def _withdraw(self, asked: Withdrawing, plan: str, idempotency_key: str | None) -> Steps[Withdrawn]:
        key = f"client:{uuid.uuid4().hex}" if idempotency_key is None else idempotency_key
        body = msgspec.json.encode(msgspec.structs.asdict(asked) | {"plan": plan, "idempotency_key": key})
        done = decoded((yield from ask(Request("POST", "withdrawal", body, key=key))).body, Withdrawn)
        self.wrote(done.revision)
        return done

    def status(self, *, at: str | None = None) -> Steps[Status]:
        """Head, counts, and the service's lag."""
        return self._read(Status, "status", None, at=at)

    def tag(self, name: str, revision: str | None = None) -> Steps[Tagged]:
        """Give a revision (None: the head) a name for good: `tag:NAME` is taken wherever a revision is.

        The same again is fine, and said; TagConflict is raised for a name that another revision has.
        """
        asked = {"name": name} | ({} if revision is None else {"revision": revision})
        return decoded((yield from ask(Request("POST", "tags", msgspec.json.encode(asked)))).body, Tagged)

    def tags(self) -> Steps[list[NamedRevision]]:
        """The revisions that have names, sorted by them."""
        return list((yield from self._read(Tags, "tags", None)).tags)

    def audit(self, *, progress: AuditProgress | None = None) -> Steps[AuditReport]:
        """Compute everything again from nothing and compare (law 13). A service tells no `progress` of it."""
        return self._read(AuditReport, "audit", None, takes_long=True)

    def export(self, *, entries: bool = False) -> Request:
        """What asks for the lines of an export."""
        return read("export", entries=entries)

    def now(self) -> Steps[str]:
        """The revision the ledger is at; that of an empty one where there is none."""
        with contextlib.suppress(NoSuchLedger):
            yield from self.check([])
        return self.revision

    def _read(self, kind: type[T], path: str, at_least: str | None, **parameters: Any) -> Steps[T]:
        answer = yield from ask(read(path, at_least=self._floor(at_least), **parameters))
        if answer.revision is not None:
            self.heard(answer.revision)
        return decoded(answer.body, kind)

    def _question(
        self, refs: list[str], max_age_s: float | None, at: str | None, at_least: str | None, full: bool
    ) -> bytes:
        question: dict[str, Any] = {"refs": refs}
        if at is not None:
            question["at"] = at
        if max_age_s is not None:
            question["max_age_s"] = _span(max_age_s)
        if (floor := self._floor(at_least)) is not None:
            question["at_least"] = floor
        if full:
            question["full"] = True
        return orjson.dumps(question)

    # -- what is known ------------------------------------------------------------------------------------------------

    @property
    def known(self) -> str | None:
        """The newest revision this client has heard of; None if it has heard of no entry."""
        return self.revision if parse_revision(self.revision, "revision").seq else None

    def wrote(self, revision: str) -> None:
        """What this client wrote is in the ledger as of this revision."""
        self.heard(revision)
        with self._lock:
            self._own = revision if self._own is None else _later(self._own, revision)

    def heard(self, revision: str) -> None:
        """The ledger has come at least so far."""
        if revision != self.revision:
            with self._lock:
                self.revision = _later(self.revision, revision)

    def _floor(self, at_least: str | None) -> str | None:
        return self._own if at_least is None and self._read_own_writes else at_least


def _later(one: str, other: str) -> str:
    return max(one, other, key=lambda token: parse_revision(token, "revision").seq)


def _pieces(lines: Iterable[bytes], progress: Callable[[int], None] | None) -> Iterator[bytes]:
    """Lines, gathered."""
    piece, number = bytearray(), 0
    for line in lines:
        piece += line if line.endswith(b"\n") else line + b"\n"
        number += 1
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            if progress is not None:
                progress(number)
            piece, number = bytearray(), 0
    yield bytes(piece)
    if progress is not None and number:
        progress(number)


def _is_text(ref: Any) -> bool:
    """Whether JSON can hold it; what it cannot hold names nothing."""
    if not isinstance(ref, str):
        return False
    try:
        return ref.isascii() or bool(ref.encode())
    except UnicodeEncodeError:
        return False


def _span(max_age_s: float | None) -> float | None:
    """An age that JSON can hold: it has no endless numbers, and null would say none. Raises Malformed."""
    if max_age_s is None:
        return None
    if not max_age_s >= 0:
        raise Malformed("max_age_s is a number of seconds, not negative", field="max_age_s")
    return min(max_age_s, AGE_S_MAX)
