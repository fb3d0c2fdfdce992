"""The ways in and out: import and export of commands, and of the verbatim log."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

import orjson
from msgspec import UNSET

from ledger.clock import format_moment
from ledger.errors import Corrupt, LedgerError, Malformed, Refused, TooLarge
from ledger.model.canonical import canonical, digest_of_bytes, parse_json
from ledger.model.command import BatchCommand, Command, SingleCommand, parse_command
from ledger.model.entry import (
    EMPTY,
    GENESIS,
    NOBODY,
    WHOLE_BATCH,
    Attempt,
    Entry,
    Expiry,
    Head,
    Justification,
    Record,
    Reinstatement,
    Request,
    Revocation,
    Sealed,
    Verification,
    open_envelope,
    seal,
)
from ledger.model.shown import Shown
from ledger.service.committer import Submission
from ledger.service.service import LedgerService
from ledger.store.base import PAGE_ENTRIES

ATOMIC_COMMANDS_MAX = 10_000
WINDOW_LINES = 1_000
WINDOWS_UNDER_WAY = 2
"""One that commits, and one that is judged meanwhile."""
READ_LINES = 200
LINE_BYTES_MAX = 64 << 20

Progress = Callable[[int], None]


class ImportReport(Shown, frozen=True):
    """What an import did: commands by outcome (replayed ones apart)."""

    lines: int
    outcomes: dict[str, int]
    replayed: int
    revision: str


# -- in ---------------------------------------------------------------------------------------------------------------


class LineParser:
    """Reads an interchange file line by line.

    A command without idempotency key gets one that stands for the file up to its line: running the import again
    completes it and repeats nothing, while the same line twice in one file is two commands.
    """

    def __init__(self) -> None:
        self.number = 0
        self._so_far = hashlib.sha256()

    def parse(self, line: bytes) -> Command | None:
        """The command of the next line; None if it is blank. Raises Refused with `line`."""
        self.number += 1
        text = line.strip()
        if not text:
            return None
        self._so_far.update(text + b"\n")
        try:
            if len(text) > LINE_BYTES_MAX:
                raise TooLarge(f"the line is {len(text):,} bytes, the limit is {LINE_BYTES_MAX:,}")
            command = parse_command(parse_json(text))
        except LedgerError as error:
            error.at(line=self.number)
            raise
        if command.idempotency_key is None:
            command.under_key(f"import:{self._so_far.hexdigest()[:32]}")
        return command


def parse_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Command]]:
    """(line number, command) of an interchange file. Raises Refused with `line`."""
    parser = LineParser()
    for line in lines:
        if (command := parser.parse(line)) is not None:
            yield parser.number, command


async def import_lines(
    ledger: LedgerService, lines: Iterable[bytes], *, atomic: bool = False, progress: Progress | None = None
) -> ImportReport:
    """Apply an interchange file in order, each line a batch of its own, or all as one (`atomic`).

    Stops at the first error, whose `line` it names; what was committed before stays, and importing again completes it.
    """
    tally = _Tally()
    if atomic:
        await _commit_atomic(ledger, _whole(parse_lines(lines)), tally, progress)
    else:
        await _commit_windows(ledger, lines, tally, progress)
    return ImportReport(tally.lines, dict(sorted(tally.outcomes.items())), tally.replayed, ledger.live.revision)


async def _commit_windows(
    ledger: LedgerService, lines: Iterable[bytes], tally: _Tally, progress: Progress | None
) -> None:
    """Window by window: while the store commits one, the next is judged, and the one after that is parsed."""
    under_way: deque[_Window] = deque()
    window: list[tuple[int, Command]] = []
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
            for line in read:
                if (command := parser.parse(line)) is not None:
                    window.append((parser.number, command))
        except LedgerError as error:
            stopped = error
        if len(window) >= WINDOW_LINES:
            if len(under_way) == WINDOWS_UNDER_WAY:
                await _answer_window(ledger, under_way.popleft(), tally, progress)
            send()
    if window:
        send()
    while under_way:
        await _answer_window(ledger, under_way.popleft(), tally, progress)
    if stopped is not None:
        raise stopped


def _whole(parsed: Iterator[tuple[int, Command]]) -> list[tuple[int, Command]]:
    found = list(islice(parsed, ATOMIC_COMMANDS_MAX + 1))
    if len(found) > ATOMIC_COMMANDS_MAX:
        raise TooLarge(f"an atomic import takes at most {ATOMIC_COMMANDS_MAX:,} commands; leave --atomic out")
    return found


def _read(lines: Iterator[bytes]) -> tuple[list[bytes], LedgerError | None]:
    """The next lines, and what stopped the reading of more."""
    read: list[bytes] = []
    try:
        for line in islice(lines, READ_LINES):
            read.append(line)
    except LedgerError as error:
        return read, error
    return read, None


class _Window(NamedTuple):
    """Part of a file on its way into the log, and the numbers of its lines."""

    lines: list[int]
    submission: Submission


class _Tally:
    def __init__(self) -> None:
        self.lines = 0
        self.outcomes: dict[str, int] = {}
        self.replayed = 0

    def count(self, outcome: str, replayed: bool) -> None:
        if replayed:
            self.replayed += 1
        else:
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1


async def _answer_window(ledger: LedgerService, window: _Window, tally: _Tally, progress: Progress | None) -> None:
    submission = window.submission
    try:
        await ledger.committer.answered(submission)
    except LedgerError as error:
        if tally.lines or submission.answers:  # else nothing is recorded, and the line does not matter
            error.at(line=window.lines[len(submission.answers)])
        raise
    for answer in submission.answers:
        tally.lines += 1
        for result in answer.results:
            tally.count(result.outcome, result.replayed)
    if progress is not None:
        progress(len(submission.answers))
    if submission.refusal is not None:
        submission.refusal.at(line=window.lines[len(submission.answers)])
        raise submission.refusal


async def _commit_atomic(
    ledger: LedgerService, window: list[tuple[int, Command]], tally: _Tally, progress: Progress | None
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
    tally.lines = len(window)
    for result in answer.results:
        tally.count(result.outcome, result.replayed)
    if progress is not None:
        progress(len(window))


def as_batch(commands: list[Command]) -> BatchCommand:
    """One atomic batch of parsed commands. Raises Malformed if one of them is a batch."""
    singles: list[SingleCommand] = []
    for position, command in enumerate(commands):
        if isinstance(command, BatchCommand):
            raise Malformed("a batch holds no batches", command=position)
        singles.append(command)
    batch = BatchCommand(commands=singles)
    return batch.sent_as(digest_of_bytes(orjson.dumps([[one.sent_digest, one.idempotency_key] for one in commands])))


async def restore(ledger: LedgerService, lines: Iterable[bytes], progress: Progress | None = None) -> Head:
    """Bring back a verbatim log (`export --entries`) into an empty ledger, verifying every hash and content.

    A restore that was cut off can be run again: what is there must be the same. Raises Malformed, Corrupt.
    """
    held = await ledger.store.head(ledger.name) or EMPTY
    previous, page = GENESIS, list[Sealed]()
    head = Head(0, GENESIS, 0)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        sealed = _verbatim(line, number, previous, head.seq + 1)
        previous = sealed.hash
        head = Head(sealed.entry.seq, sealed.hash, sealed.entry.recorded_at_us)
        if head.seq <= held.seq:
            if head.seq == held.seq and head.hash != held.hash:
                raise Corrupt(f"{ledger.name!r} holds another history; restore into a new ledger", line=number)
            continue
        page.append(sealed)
        if len(page) >= PAGE_ENTRIES:
            await _append_page(ledger, page, progress)
            page = []
    if page:
        await _append_page(ledger, page, progress)
    if head.seq < held.seq:
        raise Corrupt(f"{ledger.name!r} holds {held.seq} entries, the file only {head.seq}")
    await ledger.live.catch_up()
    return head


async def _append_page(ledger: LedgerService, page: list[Sealed], progress: Progress | None) -> None:
    await ledger.live.catch_up()
    await ledger.store.append(ledger.name, ledger.live.head, page)
    ledger.live.take_in(page)
    if ledger.mirror is not None:
        ledger.mirror.show(sealed.entry.seq for sealed in page if isinstance(sealed.entry, Record))
    if progress is not None:
        progress(len(page))


def _verbatim(line: bytes, number: int, previous: bytes, seq: int) -> Sealed:
    try:
        data = parse_json(line)
        told = bytes.fromhex(data["hash"])
        entry = open_envelope(orjson.dumps(data["entry"]))
        content = data.get("content")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Malformed(f"not a line of a verbatim export: {error}", line=number) from error
    except LedgerError as error:
        error.at(line=number)
        raise
    form = None if "content" not in data else canonical(content).decode()
    sealed = seal(entry, previous, form)
    if entry.seq != seq:
        raise Corrupt(f"entry {seq} is missing; the line holds entry {entry.seq}", line=number)
    if sealed.hash != told:
        raise Corrupt(f"entry {seq} does not have the hash that is told of it", line=number)
    if isinstance(entry, Record) and form is not None and digest_of_bytes(form.encode()) != entry.digest:
        raise Corrupt(f"the content of entry {seq} does not have its digest", line=number)
    return sealed


# -- out --------------------------------------------------------------------------------------------------------------


async def export_entries(ledger: LedgerService) -> AsyncIterator[bytes]:
    """The verbatim log, a line an entry: its envelope, its content, its hash."""
    async for sealed in ledger.sealed(content=True):
        content = b"" if sealed.content is None else b',"content":' + sealed.content.encode()
        yield b'{"entry":' + sealed.envelope + content + b',"hash":"' + sealed.hash.hex().encode() + b'"}\n'


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
