"""Which entries are looked for, and the call that lists them: the same embedded and over HTTP, with an event loop and
without."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec

from ledger.errors import Malformed
from ledger.model.bounds import check_page
from ledger.model.reference import check_reference
from ledger.model.writing import Moment

Listed = TypeVar("Listed", covariant=True)


class Wanted(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which entries are looked for: all that is given must fit. HTTP, GraphQL and command line have the same names."""

    kinds: Sequence[str] | None = None  # of one of these
    state: str | None = None  # of records, now
    reason: str | None = None  # of that state
    key_prefix: str | None = None
    actor: str | None = None
    about: str | None = None  # a reference: all versions of its key and all events on them
    resting_on: str | None = None  # a reference: records that rest on it, directly or not
    current: bool = False  # only the current version of each key
    recorded_since: str | None = None  # RFC 3339; then or later
    recorded_before: str | None = None


def wanted_of(
    *, kinds: Iterable[str] | None, recorded_since: Moment | None, recorded_before: Moment | None, **more: Any
) -> Wanted:
    """What Python is given: kinds as they come, times that may be datetimes. Raises Malformed."""
    if isinstance(kinds, str):
        raise Malformed(f'kinds is a list of kinds: ["belief"]; {kinds!r} is one text', field="kinds")
    for field in ("about", "resting_on"):
        if more[field] is not None:
            check_reference(more[field], field)
    for field in ("key_prefix", "actor"):
        if not isinstance(more[field], str | None):
            raise Malformed(f"{field} is a text, not {type(more[field]).__name__}", field=field)
    return Wanted(
        kinds=None if kinds is None else list(kinds),
        recorded_since=_text(recorded_since),
        recorded_before=_text(recorded_before),
        **more,
    )


def _text(moment: Moment | None) -> str | None:
    return moment.isoformat() if isinstance(moment, datetime) else moment


class Listing(ABC, Generic[Listed]):
    """`entries`. `Listed` is what a caller gets: the entries, or what will give them."""

    @abstractmethod
    def _entries(
        self, wanted: Wanted, after: int, limit: int, content: bool, at: str | None, at_least: str | None
    ) -> Listed: ...

    def entries(
        self,
        *,
        kinds: Iterable[str] | None = None,
        state: str | None = None,
        reason: str | None = None,
        key_prefix: str | None = None,
        actor: str | None = None,
        about: str | None = None,
        resting_on: str | None = None,
        current: bool = False,
        recorded_since: Moment | None = None,
        recorded_before: Moment | None = None,
        after: int = 0,
        limit: int = 100,
        content: bool = True,
        at: str | None = None,
        at_least: str | None = None,
    ) -> Listed:
        """At most `limit` entries after entry `after`, in the order of the log, that fit all that is given.

        `state` and `reason` are those of records now, `about` is a reference: all versions of its key and all events
        on them; `resting_on` too: all records that rest on it, directly or not. `current`: only the current version of
        each key. Times are RFC 3339 texts or datetimes, with a zone.
        """
        check_page(after, limit)
        wanted = wanted_of(
            kinds=kinds,
            state=state,
            reason=reason,
            key_prefix=key_prefix,
            actor=actor,
            about=about,
            resting_on=resting_on,
            current=current,
            recorded_since=recorded_since,
            recorded_before=recorded_before,
        )
        return self._entries(wanted, after, limit, content, at, at_least)
