"""Import and export of commands, and export of the verbatim log (`restoring` brings that back)."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import orjson
from msgspec import UNSET

from ledger.clock import format_moment
from ledger.errors import LedgerError, Refused
from ledger.model.command import Command
from ledger.model.entry import (
    GENESIS,
    NOBODY,
    WHOLE_BATCH,
    Attempt,
    Entry,
    Expiry,
    Justification,
    Record,
    Reinstatement,
    Request,
    Revocation,
    Sealed,
    Verification,
)
from ledger.model.lines import LineParser, Tally, as_batch, parse_lines, whole
from ledger.model.view import ImportReport
from ledger.service.committer import Submission
from ledger.service.garbage import uncollected
from ledger.service.service import LedgerService

WINDOW_LINES = 1_000
WINDOW_BYTES = 4 << 20
"""A window is full with so many lines, or with so much in fewer; what is under way is held in memory."""
WINDOWS_UNDER_WAY = 2
"""One that commits, and one that is judged meanwhile."""
READ_LINES = 500

Progress = Callable[[int], None]


# -- in ---------------------------------------------------------------------------------------------------------------


async def import_lines(
    ledger: LedgerService, lines: Iterable[bytes], *, atomic: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Apply an interchange file in order, each line a batch of its own, or all as one (`atomic`).

    Stops at the first error, whose `line` it names; what was committed before stays, and importing again completes it.
    """
    tally = Tally()
    if atomic:
        await _commit_atomic(ledger, whole(parse_lines(lines)), tally, progress)
    else:
        await _commit_windows(ledger, lines, tally, progress)
    return tally.report(ledger.live.revision)


async def _commit_windows(
    ledger: LedgerService, lines: Iterable[bytes], tally: Tally, progress: Progress | None
) -> None:
    """Window by window: while the store commits one, the next is judged, and the one after that is parsed."""
    under_way: deque[_Window] = deque()
    window: list[tuple[int, Command]] = []
    size = 0  # of its lines, in bytes
    stopped: LedgerError | None = None

    def send() -> None:
        follows = under_way[-1].submission if under_way else None
        commands = [command for _, command in window]
        under_way.append(_Window([number for number, _ in window], ledger.enqueue(commands, follows)))
        window.clear()

    parser, source = LineParser(), iter(lines)
    while stopped is None:
        # Beside the loop: whoever gives us lines may let us wait for them, and what came before is committed meanwhile.
        read, stopped = await asyncio.to_thread(_read, source)
        if not read:
            break
        try:
            with uncollected():
                for line in read:
                    if (command := parser.parse(line)) is not None:
                        window.append((parser.number, command))
        except LedgerError as error:
            stopped = error
        size += sum(map(len, read))
        if len(window) >= WINDOW_LINES or size >= WINDOW_BYTES:
            if len(under_way) == WINDOWS_UNDER_WAY:
                await _answer_window(ledger, under_way.popleft(), tally, progress)
            send()
            size = 0
    if window:
        send()
    while under_way:
        await _answer_window(ledger, under_way.popleft(), tally, progress)
    if stopped is not None:
        raise stopped


def _read(lines: Iterator[bytes]) -> tuple[list[bytes], LedgerError | None]:
    """The next lines, and what stopped the reading of more."""
    read: list[bytes] = []
    room = WINDOW_BYTES
    try:
        for line in islice(lines, READ_LINES):
            read.append(line)
            room -= len(line)
            if room <= 0:
                break
    except LedgerError as error:
        return read, error
    return read, None


class _Window(NamedTuple):
    """Part of a file on its way into the log, and the numbers of its lines."""

    lines: list[int]
    submission: Submission


async def _answer_window(ledger: LedgerService, window: _Window, tally: Tally, progress: Progress | None) -> None:
    submission = window.submission
    try:
        await ledger.committer.answered(submission)
    except LedgerError as error:
        if tally.lines or submission.answers:  # else nothing is recorded, and the line does not matter
            error.at(line=window.lines[len(submission.answers)])
        raise
    for answer in submission.answers:
        tally.count(answer.outcomes)
    if progress is not None:
        progress(len(submission.answers))
    if submission.refusal is not None:
        submission.refusal.at(line=window.lines[len(submission.answers)])
        raise submission.refusal
    assert submission.settled, "lines were passed over"  # what follows a refusal is not asked for


async def _commit_atomic(
    ledger: LedgerService, window: list[tuple[int, Command]], tally: Tally, progress: Progress | None
) -> None:
    if not window:
        return
    batch = as_batch([command for _, command in window])
    try:
        answer = await ledger.apply(batch)
    except Refused as error:
        position = error.details.pop("command", None)
        if position is not None:
            error.at(line=window[position][0])
        raise
    tally.count(answer.results, lines=len(window))
    if progress is not None:
        progress(len(window))


# -- out --------------------------------------------------------------------------------------------------------------


async def export_entries(ledger: LedgerService) -> AsyncIterator[bytes]:
    """The verbatim log, a line an entry: its envelope, its content, its hash. A tag comes behind what it names."""
    tags = defaultdict[tuple[int, bytes], list[bytes]](list)  # those of another history name nothing here
    for tag in await ledger.tagged.all():
        tags[tag.seq, tag.hash].append(_line({"tag": tag.name, "seq": tag.seq, "hash": tag.hash.hex()}))
    for line in tags[0, GENESIS]:
        yield line
    async for sealed in ledger.sealed(content=True):
        content = b"" if sealed.content is None else b',"content":' + sealed.content.encode()
        yield b'{"entry":' + sealed.envelope + content + b',"hash":"' + sealed.hash.hex().encode() + b'"}\n'
        for line in tags.get((sealed.entry.seq, sealed.hash), ()):
            yield line


async def export_commands(ledger: LedgerService) -> AsyncIterator[bytes]:
    """The log as commands, a line a batch: imported into an empty ledger they give the same numbers and states."""
    exporter = _Exporter(ledger)
    batch: list[Sealed] = []
    async for sealed in ledger.sealed(content=True):
        if batch and sealed.entry.batch != batch[0].entry.batch:
            yield await exporter.line(batch)
            batch = []
        batch.append(sealed)
    if batch:
        yield await exporter.line(batch)


class _Exporter:
    def __init__(self, ledger: LedgerService) -> None:
        self.ledger = ledger
        self.names: list[str] = ["@0"]
        self.records: dict[int, Record] = {}
        self.said: set[tuple[str | None, str]] = set()  # every key with every digest it had

    async def line(self, batch: list[Sealed]) -> bytes:
        """One command, or the batch of them, in the order they were given."""
        placed: list[tuple[int, dict[str, Any]]] = []
        for sealed in batch:
            self._name(sealed.entry)
            placed += await self._commands(sealed)
        placed.sort(key=lambda pair: pair[0])
        commands = [command for _, command in placed]
        whole = [one for sealed in batch for one in sealed.entry.requests if one.position == WHOLE_BATCH]
        if len(commands) == 1 and not whole:
            return _line(commands[0])
        line: dict[str, Any] = {"op": "batch", "commands": commands}
        if whole:
            line["idempotency_key"] = whole[0].idempotency_key
        return _line(line)

    def _name(self, entry: Entry) -> None:
        if isinstance(entry, Record):
            self.records[entry.seq] = entry
            self.names.append(f"{entry.key}@{entry.version}" if entry.key is not None else f"@{entry.seq}")
        else:
            self.names.append(f"@{entry.seq}")

    async def _commands(self, sealed: Sealed) -> list[tuple[int, dict[str, Any]]]:
        """The commands that make this entry again, with their positions in the batch."""
        entry = sealed.entry
        answered = [request for request in entry.requests if request.position != WHOLE_BATCH]
        if isinstance(entry, Attempt) or (isinstance(entry, Verification) and entry.valid_until_us is UNSET):
            shares = [(one, at) for one, at in _shares(answered) if one.position != NOBODY]
            return [(one.position, await self._gathered(entry, one, at)) for one, at in shares]
        position = answered[0].position if answered else 0
        return [(position, self._common(await self._command(entry, sealed.content), entry, *answered))]

    async def _command(self, entry: Entry, content: str | None) -> dict[str, Any]:
        match entry:
            case Record():
                return self._record(entry, content)
            case Revocation():
                command = {"op": "revoke", "target": self.names[entry.targets[0]], "mode": entry.mode}
                if entry.mode == "revoked":
                    command["effective_at"] = format_moment(entry.moment_us)
                return command | ({} if entry.reason is None else {"reason": entry.reason})
            case Reinstatement():
                lifts = [f"@{seq}" for seq in entry.lifts]
                command = {"op": "reinstate", "target": self.names[entry.targets[0]]}
                return command | {"lifts": lifts} | ({} if entry.reason is None else {"reason": entry.reason})
            case Verification() | Justification():
                return await self._again(entry, entry.targets[0], entry.observed[0])
            case Expiry():
                return {"op": "expire", "target": self.names[entry.targets[0]]}
        raise AssertionError(entry)

    async def _gathered(self, entry: Verification | Attempt, request: Request, at: int) -> dict[str, Any]:
        """The command of one of those that share an entry; its targets start at `at`."""
        if isinstance(entry, Attempt):
            command = await self._again(entry, entry.targets[at], entry.observed[at])
            if request.outcome == "condemned":
                command["restate"] = True  # it is so with `restate` too, and may be the content of the current version
        else:
            span = slice(at, at + request.looks)
            looks = zip(entry.targets[span], entry.observed[span], strict=True)
            command = {"op": "verify", "targets": [[self.names[target], digest] for target, digest in looks]}
        return self._common(command, entry, request)

    def _record(self, entry: Record, content: str | None) -> dict[str, Any]:
        command: dict[str, Any] = {"op": "record", "kind": entry.kind}
        if entry.key is not None:
            command["key"] = entry.key
        _add_content(command, content, entry.digest)
        self._add_edges(command, entry)
        if entry.amends is not None:
            command["amends"] = self.records[entry.amends].version
        elif (entry.key, entry.digest) in self.said and entry.key is not None:
            command["restate"] = True  # what was said before would be taken for a repetition
        self.said.add((entry.key, entry.digest))
        return command

    async def _again(self, entry: Verification | Justification | Attempt, target: int, digest: str) -> dict[str, Any]:
        """A record of content that was there already: a repetition, or an attempt."""
        (held,) = await self.ledger.store.pick(self.ledger.name, [target], content=True)
        record = self.records[target]
        command: dict[str, Any] = {"op": "record", "kind": record.kind, "key": record.key}
        _add_content(command, held.content, digest)
        self._add_edges(command, entry)
        return command

    def _add_edges(self, command: dict[str, Any], entry: Any) -> None:
        for name in ("cites", "supersedes"):
            if getattr(entry, name, ()):
                command[name] = [self.names[seq] for seq in getattr(entry, name)]
        if getattr(entry, "because", ()):
            command["because"] = [[self.names[seq] for seq in premises] for premises in entry.because]
        limit = getattr(entry, "valid_until_us", UNSET)
        if limit is not UNSET:
            command["valid_until"] = None if limit is None else format_moment(limit)

    def _common(self, command: dict[str, Any], entry: Entry, *answered: Request) -> dict[str, Any]:
        if entry.actor is not None:
            command["actor"] = entry.actor
        # What is told to have happened later than it was recorded counts as of its recording; there it must stay.
        happened_us = entry.recorded_at_us if entry.occurred_at_us is None else entry.occurred_at_us
        command["occurred_at"] = format_moment(min(happened_us, entry.recorded_at_us))
        for request in answered:
            if request.idempotency_key is not None:
                command["idempotency_key"] = request.idempotency_key
        return command


def _shares(answered: list[Request]) -> Iterator[tuple[Request, int]]:
    """Each of the requests that share an entry, and where its targets start."""
    at = 0
    for request in answered:
        yield request, at
        at += request.looks


def _add_content(command: dict[str, Any], content: str | None, digest: str) -> None:
    if content is None:
        command["content_digest"] = digest
    else:
        command["content"] = orjson.Fragment(content)


def _line(command: dict[str, Any]) -> bytes:
    return orjson.dumps(command, option=orjson.OPT_APPEND_NEWLINE)
