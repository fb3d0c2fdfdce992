"""A command as it is sent: checked as the ledger itself checks it, so that both take the same for the same."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from ledger.clock import format_moment, parse_moment
from ledger.model.command import BatchCommand, Command, RecordCommand, parse_command


def line_of(command: Mapping[str, Any]) -> bytes:
    """The line that says a command to a service. Raises Malformed, TooLarge."""
    return orjson.dumps(_sent(command, parse_command(command)))


def _sent(command: Mapping[str, Any], parsed: Command) -> dict[str, Any]:
    sent = {name: _plain(value) for name, value in command.items()}
    if isinstance(parsed, RecordCommand) and parsed.content_form is not None:
        sent["content"] = orjson.Fragment(parsed.content_form)
    if isinstance(parsed, BatchCommand):
        pairs = zip(command["commands"], parsed.commands, strict=True)
        sent["commands"] = [_sent(one, inner) for one, inner in pairs]
    return sent


def _plain(value: Any) -> Any:
    return format_moment(parse_moment(value)) if isinstance(value, datetime) else value
