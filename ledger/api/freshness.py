"""POST /v1/ledgers/{ledger}/freshness: what a retriever asks before a model reads.

The hot path: plain ASGI, bytes in and bytes out, and no object for a reference that is fresh.
"""

from __future__ import annotations

import re
from typing import Annotated

import msgspec
from starlette.types import Receive, Scope, Send

from ledger.api import bodies
from ledger.errors import Malformed, TooLarge
from ledger.model.canonical import parse_json
from ledger.model.verdict import Verdict
from ledger.service.ledgers import Ledgers
from ledger.settings import Settings


class FreshnessRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What is asked, and how new the answer must be."""

    refs: list[str]
    at: Annotated[
        str | None,
        msgspec.Meta(description="A revision, tag:NAME, or a moment (RFC 3339): what would have been answered then."),
    ] = None
    at_least: Annotated[str | None, msgspec.Meta(description="A revision that the answer is not older than.")] = None
    max_age_s: Annotated[
        Annotated[float, msgspec.Meta(ge=0)] | None,
        msgspec.Meta(description="Seconds after which a dependency that nobody looked at counts as fallen."),
    ] = None
    full: Annotated[bool, msgspec.Meta(description="Ask the store first, whatever other processes wrote.")] = False


class FreshnessReport(msgspec.Struct):
    """A verdict for each reference, in the order asked; all as of one revision and moment."""

    revision: str
    clock: str
    verdicts: list[Verdict]


_UNKNOWN_FIELD = re.compile("unknown field `(.*)`")
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")
_decoder = msgspec.json.Decoder(FreshnessRequest)


class Freshness:
    """The route as an ASGI application."""

    def __init__(self, ledgers: Ledgers, settings: Settings) -> None:
        self.ledgers = ledgers
        self.refs_max = settings.refs_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(await bodies.read(receive))
        service = await self.ledgers.get(scope["path_params"]["ledger"])
        found = await service.answer(asked.refs, asked.max_age_s, at=asked.at, at_least=asked.at_least, full=asked.full)
        await bodies.answer(send, found.body, bodies.JSON)
        service.figures.note_check(len(found.verdicts), found.others())  # nobody waits for this

    def _asked(self, body: bytes) -> FreshnessRequest:
        try:
            asked = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            asked = _with_halves(body, error)
        if len(asked.refs) > self.refs_max:
            raise TooLarge(
                f"{len(asked.refs):,} references at once, the limit here is {self.refs_max:,} (LEDGER_REFS_MAX)",
                field="refs",
                limit=self.refs_max,
            )
        return asked


def _with_halves(body: bytes, error: Exception) -> FreshnessRequest:
    """A request that may hold half a UTF-16 pair, as JavaScript writes one: the reference it is in is malformed, and
    the others are not. Raises Malformed, of what else is wrong or of `error`; TooLarge.
    """
    if _HALF.search(body) is None:
        raise malformed(error) from error
    try:
        return msgspec.convert(parse_json(body), FreshnessRequest)
    except (msgspec.ValidationError, UnicodeEncodeError) as other:
        raise malformed(other) from other


def malformed(error: Exception) -> Malformed:
    """msgspec's complaint, and the field it names: "Expected `str`, got `int` - at `$.refs[3]`"."""
    message, _, place = str(error).partition(" - at `$")
    unknown = _UNKNOWN_FIELD.search(message)
    field = unknown[1] if unknown else place.strip("`.") or None
    where = f" in {field}" if field and not unknown else ""
    return Malformed(message[:1].lower() + message[1:] + where, field=field)
