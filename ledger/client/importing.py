"""An interchange file over HTTP: in windows as large as a service takes them, each line under a key of its own.

So a window whose answer was lost is sent again, and what it had recorded is answered as `replayed`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import orjson

from ledger.client.exchange import Steps, ask, commands, decoded, wait_for
from ledger.errors import LedgerError, TooLarge, error_told
from ledger.model.canonical import parse_json
from ledger.model.command import BatchCommand, Command
from ledger.model.lines import LineParser, Tally, as_batch, check_atomic
from ledger.model.result import BatchResult, Result

WINDOW_COMMANDS = 1_000
WINDOW_BYTES = 4 << 20

PARTLY = 207
"""Some lines are recorded, and the one after them was refused."""

_KEY = b'"idempotency_key"'


class Line(NamedTuple):
    """A line of the file, as it is sent."""

    number: int
    text: bytes
    command: Command

    @property
    def commands(self) -> int:
        return len(self.command.commands) if isinstance(self.command, BatchCommand) else 1


def import_lines(
    lines: Iterable[bytes], atomic: bool, progress: Callable[[int], None] | None, wrote: Callable[[str], None]
) -> Steps[Tally]:
    """Apply a file in order; `wrote` hears of each revision it came to.

    Raises LedgerError with the `line`; what was recorded before it stays.
    """
    reader, import_ = _Reader(lines), _Import(progress, wrote)
    if atomic:
        if window := (yield from wait_for(reader.whole)):
            yield from import_.send_whole(window)
        return import_.tally
    while window := (yield from wait_for(reader.window)):
        yield from import_.send(window)
    if reader.stopped is not None:
        raise reader.stopped
    return import_.tally


class _Import:
    """What became of a file so far."""

    def __init__(self, progress: Callable[[int], None] | None, wrote: Callable[[str], None]) -> None:
        self.tally = Tally()
        self._progress = progress or (lambda lines: None)
        self._wrote = wrote

    def send(self, window: list[Line]) -> Steps[None]:
        """Each line is a batch of its own."""
        try:
            answer = yield from ask(commands(b"\n".join(line.text for line in window)))
        except TooLarge as error:
            if len(window) == 1 or "line" in error.details:
                raise _placed(error, window) from error
            half = len(window) // 2  # a service with smaller limits: it recorded nothing of it
            yield from self.send(window[:half])
            yield from self.send(window[half:])
            return
        except LedgerError as error:
            raise _placed(error, window) from error
        told = answer.body.splitlines()
        refusal = told.pop() if answer.status == PARTLY else None
        for line, text in zip(window, told, strict=refusal is None):
            batch = isinstance(line.command, BatchCommand)
            self._count(decoded(text, BatchResult).results if batch else (decoded(text, Result),))
        self._progress(len(told))
        if refusal is not None:
            raise _placed(error_told(orjson.loads(refusal)), window)

    def send_whole(self, window: list[Line]) -> Steps[None]:
        """All lines are one batch."""
        try:
            answer = yield from ask(commands(b"\n".join(line.text for line in window), atomic=True))
        except LedgerError as error:
            raise _placed(error, window) from error
        for text in answer.body.splitlines():
            self._count((decoded(text, Result),))
        self._progress(len(window))

    def _count(self, results: Sequence[Result]) -> None:
        self.tally.count(results)
        self._wrote(results[-1].revision)


def _placed(error: LedgerError, window: list[Line]) -> LedgerError:
    """The same error with the line of the file. Where none was told the first of the window: it may be recorded."""
    told = error.details.pop("line", 1)
    error.details.pop("not_tried", None)
    return error.at(line=window[told - 1].number)


class _Reader:
    """Reads and checks a file. What stops it is kept until what came before is recorded."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.stopped: LedgerError | None = None
        self._parser = LineParser()
        self._lines = iter(lines)
        self._held: Line | None = None

    def window(self) -> list[Line]:
        """The next lines; none at the end."""
        found: list[Line] = []
        room, room_bytes = WINDOW_COMMANDS, WINDOW_BYTES
        while (line := self._next()) is not None:
            room -= line.commands
            room_bytes -= len(line.text)
            if found and (room < 0 or room_bytes < 0):
                self._held = line
                break
            found.append(line)
        return found

    def whole(self) -> list[Line]:
        """All lines, held to what one batch may be. Raises LedgerError: of a file with an error nothing is sent."""
        found: list[Line] = []
        while (line := self._next()) is not None:
            found.append(line)
            check_atomic(len(found))
        if self.stopped is not None:
            raise self.stopped
        as_batch([line.command for line in found])
        return found

    def _next(self) -> Line | None:
        held, self._held = self._held, None
        if held is not None or self.stopped is not None:
            return held
        try:
            for line in self._lines:
                if (command := self._parser.parse(line)) is not None:
                    return Line(self._parser.number, _keyed(line.strip(), command), command)
        except LedgerError as error:
            self.stopped = error
        return None


def _keyed(text: bytes, command: Command) -> bytes:
    """The line with its idempotency key."""
    key = command.idempotency_key or ""
    if _KEY not in text:
        return b'{"idempotency_key":"%b",%b' % (key.encode(), text[1:])
    return orjson.dumps(parse_json(text) | {"idempotency_key": key})
