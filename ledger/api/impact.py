"""POST /v1/ledgers/{ledger}/impact: the body of `commands`, and what it would do; nothing is recorded."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.types import Receive, Scope, Send

from ledger.api import bodies
from ledger.api.commands import CommandLines, one_batch, telling_the_line
from ledger.api.complaints import no_such
from ledger.errors import Malformed
from ledger.model.bounds import check_names
from ledger.model.impact import IMPACT_NAMES
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings

_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


class Impacts:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers, settings: Settings) -> None:
        self.ledgers = ledgers
        self.lines = CommandLines(settings.commands_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        at_least, limit = asked_of(scope["query_string"])
        commands = await self.lines.read(scope, receive)
        service = await self.ledgers.get(scope["path_params"]["ledger"])
        await service.reach(at_least)
        with telling_the_line(commands):
            impact = await service.impact(one_batch(commands), limit=limit)
        revision = (b"ledger-revision", impact.revision.encode())
        await bodies.answer(send, msgspec.json.encode(impact), bodies.JSON, bodies.NOT_KEPT, revision)


def asked_of(query: bytes) -> tuple[str | None, int]:
    """`at_least` and `limit`. Raises Malformed."""
    asked = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    if unknown := set(asked) - {"at_least", "limit"}:
        raise no_such(min(unknown), ("at_least", "limit"))
    limit: Any = asked.get("limit", [str(IMPACT_NAMES)])[-1]
    if not _NUMBER.fullmatch(limit):
        raise Malformed(f"limit is a whole number, not {limit[:80]!r}", field="limit")
    names = int(limit[:12])
    check_names(names)
    return asked.get("at_least", [None])[-1], names
