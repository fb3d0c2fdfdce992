"""An interchange file: its lines as commands, and what an import did with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

import orjson

from ledger.errors import LedgerError, Malformed, TooLarge
from ledger.model.canonical import digest_of_bytes, parse_json
from ledger.model.command import BatchCommand, Command, SingleCommand, parse_command
from ledger.model.plain import plain_record
from ledger.model.view import ImportReport

ATOMIC_COMMANDS_MAX = 10_000
LINE_BYTES_MAX = 64 << 20
BEHIND_BYTES = 100_000
"""So much of a file is not hashed yet, at most: many lines at once cost what one costs."""


class LineParser:
    """Reads an interchange file line by line.

    A command without idempotency key gets one that stands for the file up to its line: running the import again
    completes it and repeats nothing, while the same line twice in one file is two commands.
    """

    def __init__(self) -> None:
        self.number = 0
        self._so_far = hashlib.sha256()
        self._behind: list[bytes] = []  # lines that are not in it yet: mostly nobody asks
        self._behind_bytes = 0

    def parse(self, line: bytes) -> Command | None:
        """The command of the next line; None if it is blank. Raises Refused with `line`."""
        self.number += 1
        text = line.strip()
        if not text:
            return None
        self._behind.append(text)
        self._behind_bytes += len(text)
        if self._behind_bytes > BEHIND_BYTES:
            self._digest()
        try:
            if len(text) > LINE_BYTES_MAX:
                raise TooLarge(f"the line is {len(text):,} bytes, the limit is {LINE_BYTES_MAX:,}")
            command = plain_record(text) or parse_command(parse_json(text))
        except LedgerError as error:
            error.at(line=self.number)
            raise
        if command.idempotency_key is None:
            command.under_key(f"import:{self._digest()[:32]}")
        return command

    def _digest(self) -> str:
        """Of the file so far."""
        self._so_far.update(b"\n".join([*self._behind, b""]))
        self._behind.clear()
        self._behind_bytes = 0
        return self._so_far.hexdigest()


class Splitter:
    """Lines out of what comes in pieces, each with its end."""

    def __init__(self) -> None:
        self._begun: list[bytes] = []
        self._bytes = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The lines that are whole now. Raises TooLarge for one that does not end."""
        end = piece.rfind(b"\n") + 1
        if not end:
            self._begin(piece)
            return []
        whole, self._begun, self._bytes = b"".join((*self._begun, piece[:end])), [], 0
        self._begin(piece[end:])
        return [line + b"\n" for line in whole[:-1].split(b"\n")]  # splitlines would end them at \r too

    def rest(self) -> bytes:
        """What came behind the last end of a line."""
        return b"".join(self._begun)

    def _begin(self, piece: bytes) -> None:
        self._begun.append(piece)
        self._bytes += len(piece)
        if self._bytes > LINE_BYTES_MAX:
            raise TooLarge(f"a line is over {LINE_BYTES_MAX:,} bytes")


def parse_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Command]]:
    """(line number, command) of an interchange file. Raises Refused with `line`."""
    parser = LineParser()
    for line in lines:
        if (command := parser.parse(line)) is not None:
            yield parser.number, command


def whole(parsed: Iterator[tuple[int, Command]]) -> list[tuple[int, Command]]:
    """All of a file, to be one batch. Raises TooLarge."""
    found = list(islice(parsed, ATOMIC_COMMANDS_MAX + 1))
    check_atomic(len(found))
    return found


def check_atomic(commands: int) -> None:
    """Raises TooLarge for more than one batch may hold."""
    if commands > ATOMIC_COMMANDS_MAX:
        raise TooLarge(f"an atomic import takes at most {ATOMIC_COMMANDS_MAX:,} commands; leave --atomic out")


def as_batch(commands: list[Command]) -> BatchCommand:
    """One atomic batch of parsed commands. Raises Malformed if one of them is a batch."""
    singles: list[SingleCommand] = []
    for position, command in enumerate(commands):
        if isinstance(command, BatchCommand):
            raise Malformed("a batch holds no batches", command=position)
        singles.append(command)
    batch = BatchCommand(commands=singles)
    return batch.sent_as(digest_of_bytes(orjson.dumps([[one.sent_digest, one.idempotency_key] for one in commands])))


class Counted(Protocol):
    """What came of a command, as far as it is counted."""

    @property
    def outcome(self) -> str: ...

    @property
    def replayed(self) -> bool: ...


class Tally:
    """Counts what becomes of the lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.outcomes: dict[str, int] = {}
        self.replayed = 0

    def count(self, results: Iterable[Counted], *, lines: int = 1) -> None:
        """So many lines were answered so."""
        self.lines += lines
        for result in results:
            if result.replayed:
                self.replayed += 1
            else:
                self.outcomes[result.outcome] = self.outcomes.get(result.outcome, 0) + 1

    def report(self, revision: str) -> ImportReport:
        return ImportReport(self.lines, dict(sorted(self.outcomes.items())), self.replayed, revision)
