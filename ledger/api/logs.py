"""The log of the service: a line an event, for people at a terminal, as JSON for everything else.

Thirty lines of our own: there is a line for each request, and of a check of a hundred references a general logging
library took a tenth of the time.
"""

from __future__ import annotations

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, BinaryIO

import click
import orjson

from ledger.settings import Settings

LEVELS = ("debug", "info", "warning", "error")
_COLOURS = {"warning": "yellow", "error": "red"}


class Log:
    """Writes events with their fields; what is None is left out. It is not global: a process may have several."""

    def __init__(self, settings: Settings, stream: BinaryIO | None = None) -> None:
        """Writes to standard error, or another stream."""
        self._stream = sys.stderr.buffer if stream is None else stream
        people = self._stream.isatty() if settings.log_format == "auto" else settings.log_format == "console"
        self._form = self._for_people if people else _for_programs
        self._from = LEVELS.index(settings.log_level)
        self.failures = 0  # lines that could not be written

    def debug(self, event: str, **fields: Any) -> None:
        self._say(0, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._say(1, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._say(2, event, fields)

    def error(self, event: str, error: BaseException | None = None, **fields: Any) -> None:
        """With `error` the whole story of it: this is where it belongs, and nowhere else."""
        if error is not None:
            fields["trace"] = "".join(traceback.format_exception(error))
        self._say(3, event, fields)

    def take_over(self) -> None:
        """Write what libraries say by `logging` (uvicorn, the Neo4j driver) too."""
        root = logging.getLogger()
        root.handlers = [_Handler(self)]
        root.setLevel(logging.DEBUG if not self._from else logging.WARNING)

    def _say(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if level < self._from:
            return
        try:
            self._stream.write(self._form(LEVELS[level], event, fields))
            self._stream.flush()
        except Exception:
            # A full disk, half a UTF-16 pair in a text: an answer does not wait for what is said of it.
            self.failures += 1

    def _for_people(self, level: str, event: str, fields: dict[str, Any]) -> bytes:
        trace = fields.pop("trace", None)
        told = " ".join(f"{name}={_on_one_line(value)}" for name, value in fields.items() if value is not None)
        line = f"{datetime.now():%H:%M:%S.%f}"[:-3] + f" {level:<7} {event}  {told}"
        if self._stream.isatty() and level in _COLOURS:
            line = click.style(line, fg=_COLOURS[level])
        return "\n".join([line, *([trace.rstrip()] if trace else []), ""]).encode(errors="backslashreplace")


def _on_one_line(value: Any) -> str:
    """Who calls us chooses some of it, and shall not write lines of his own."""
    text = str(value)
    return text if text.isprintable() else ascii(text)


def _for_programs(level: str, event: str, fields: dict[str, Any]) -> bytes:
    line = {"time": datetime.now(UTC), "level": level, "event": event, **fields}
    return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self.log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            self.log.error(record.getMessage(), record.exc_info and record.exc_info[1], logger=record.name)
        elif record.levelno >= logging.WARNING:
            self.log.warning(record.getMessage(), logger=record.name)
        else:
            self.log.debug(record.getMessage(), logger=record.name)
