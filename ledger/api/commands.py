"""POST /v1/ledgers/{ledger}/commands: JSON Lines in, one result a line out.

All lines are one atomic batch. With `?atomic=false` each line is a batch of its own, and the first that is refused ends
it: the lines before stay recorded, which the answer shows line by line.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
import orjson
from starlette.types import Receive, Scope, Send

from ledger.api import bodies
from ledger.api.complaints import no_such
from ledger.errors import LedgerError, Malformed, Overloaded, StoreError, TooLarge
from ledger.model.canonical import parse_json
from ledger.model.command import BatchCommand, Command, parse_command
from ledger.model.lines import as_batch
from ledger.model.result import BatchResult, Result
from ledger.service.interchange import WINDOW_LINES
from ledger.service.ledgers import Ledgers
from ledger.service.service import LedgerService
from ledger.settings import Settings

SLICE_LINES = 50
"""Parsed before others get their turn, about 1 ms."""

PARTLY = 207
"""Some lines are recorded and one was refused."""

_encode_lines = msgspec.json.Encoder().encode_lines


class CommandLines:
    """The commands of a body, each with its line."""

    def __init__(self, commands_max: int) -> None:
        self.commands_max = commands_max

    async def read(self, scope: Scope, receive: Receive) -> list[tuple[int, Command]]:
        """All of them, checked for their form. Raises Malformed, TooLarge, ClientGone."""
        return await self._parsed(self._lines(scope, await bodies.read(receive)))

    def _lines(self, scope: Scope, body: bytes) -> list[bytes]:
        """The lines of the body; as `application/json` it is one command, on as many lines as it likes."""
        if dict(scope["headers"]).get(b"content-type", b"").lower().startswith(b"application/json"):
            return [body]
        if body.count(b"\n") > self.commands_max:
            raise self._too_many()
        return body.split(b"\n")

    async def _parsed(self, lines: list[bytes]) -> list[tuple[int, Command]]:
        """Every command with its line, checked for its form before any is judged."""
        found: list[tuple[int, Command]] = []
        room = self.commands_max
        for number, line in enumerate(lines, start=1):
            if not (text := line.strip()):
                continue
            try:
                command = parse_json(text)
                room -= _size(command)
                if room < 0:
                    raise self._too_many()
                found.append((number, parse_command(command)))
            except LedgerError as error:
                raise error.at(line=number) from error
            if len(found) % SLICE_LINES == 0:
                await asyncio.sleep(0)  # others do not wait for all of them
        if not found:
            raise Malformed("there is no command in the body; one a line is expected")
        return found

    def _too_many(self) -> TooLarge:
        return TooLarge(
            f"more than {self.commands_max:,} commands at once, the limit here (LEDGER_COMMANDS_MAX)",
            limit=self.commands_max,
        )


class Commands:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers, settings: Settings) -> None:
        self.ledgers = ledgers
        self.lines = CommandLines(settings.commands_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        atomic = _atomic(scope["query_string"])
        commands = await self.lines.read(scope, receive)
        service = await self.ledgers.get(scope["path_params"]["ledger"], create=True)
        done = await (_all_or_none if atomic else _one_by_one)(service, commands)
        said = [(b"ledger-created", service.name.encode())] if done.created else []
        await bodies.answer(send, done.body(), bodies.JSON_LINES, *said, status=done.status)


def one_batch(commands: Sequence[tuple[int, Command]]) -> Command:
    """All lines as one batch; one line as it stands, `{"op":"batch"}` too. Raises Malformed."""
    return commands[0][1] if len(commands) == 1 else as_batch([command for _, command in commands])


@contextlib.contextmanager
def telling_the_line(commands: Sequence[tuple[int, Command]]) -> Iterator[None]:
    """What is refused of `one_batch` is told with its line: of our making, the batch is no name for a place."""
    try:
        yield
    except LedgerError as error:
        position = 0 if len(commands) == 1 else error.details.pop("command", None)
        raise error.at(line=None if position is None else commands[position][0]) from error


@dataclass
class _Done:
    """What became of the lines: results of what is recorded, and the error that ended it, with its line."""

    results: list[Result | BatchResult] = field(default_factory=list)
    stopped: LedgerError | None = None
    left: int = 0

    @property
    def created(self) -> bool:
        """Whether these lines made the ledger: theirs is its first entry."""
        first = next((one.results[0] if isinstance(one, BatchResult) else one for one in self.results), None)
        return first is not None and first.entry == "@1" and not first.replayed

    @property
    def status(self) -> int:
        return 200 if self.stopped is None else PARTLY

    def body(self) -> bytes:
        lines = _encode_lines(self.results)
        if self.stopped is None:
            return lines
        last = self.stopped.outward() | {"not_tried": self.left}
        return lines + orjson.dumps(last, default=str, option=orjson.OPT_APPEND_NEWLINE)


async def _all_or_none(service: LedgerService, commands: list[tuple[int, Command]]) -> _Done:
    with telling_the_line(commands):
        return _Done(list((await service.apply(one_batch(commands))).results))


async def _one_by_one(service: LedgerService, commands: list[tuple[int, Command]]) -> _Done:
    """Raises the error if nothing was recorded before it."""
    done = _Done()
    # By windows: a store that stops answering in one hides what became of that one alone.
    for start in range(0, len(commands), WINDOW_LINES):
        window = [command for _, command in commands[start : start + WINDOW_LINES]]
        try:
            submission = await service.submit(window)
        except (StoreError, Overloaded) as error:
            done.stopped = error
        else:
            done.results += map(_of_line, window, (answer.result(service.live) for answer in submission.answers))
            done.stopped = submission.refusal
        if done.stopped is not None:
            done.stopped.at(line=commands[len(done.results)][0])
            if not done.results:
                raise done.stopped
            done.left = len(commands) - len(done.results) - 1
            break
    return done


def _of_line(command: Command, answer: BatchResult) -> Result | BatchResult:
    return answer if isinstance(command, BatchCommand) else answer.results[0]


def _size(command: Any) -> int:
    """How many commands a line holds, before they are looked at."""
    inner = command.get("commands") if isinstance(command, dict) else None
    return len(inner) if isinstance(inner, list) else 1


def _atomic(query: bytes) -> bool:
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    if unknown := set(asked) - {"atomic"}:
        raise no_such(min(unknown), ("atomic",))
    value = asked.get("atomic", ["true"])[-1]
    if value not in ("true", "false"):
        raise Malformed(f"atomic is true or false, not {value!r}", field="atomic")
    return value == "true"
