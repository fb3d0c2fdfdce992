"""Between retriever and prompt: keeps what is not fresh from the model, asking once for all that was found.

    from ledger.guard import guard
    passages = guard(ledger, vector_store.search(question))    # what is fresh; the rest: `passages.withheld`

An item names what it was taken from by a reference (`docs/config.rst#debug@sha256:…`, as ingest gives them):
under `ledger_ref` or `ref`, in a dict, in its `metadata`, or as an attribute. An item without one is unknown,
and unknown is never fresh.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args, overload

from ledger.errors import Behind, LedgerError, ServiceError, StaleContext, StoreError
from ledger.model.verdict import FRESH, STALE, UNKNOWN, Report, Verdict

OnFallen = Literal["drop", "annotate", "redact", "raise"]
OnUnavailable = Literal["raise", "withhold"]
IdOf = Callable[[Any], str | None]

REFERENCE_FIELDS = ("ledger_ref", "ref")
TEXT_FIELDS = ("page_content", "text", "content")
VERDICT_FIELD = "ledger_verdict"
"""Where `annotate` puts the verdict, as a dict: in the item's metadata if it has any, else in the item."""


class Checks(Protocol):
    """What the guard needs of a Ledger."""

    def check(self, refs: Sequence[str], *, max_age_s: float | None = None) -> Report: ...


class AsyncChecks(Protocol):
    """What the guard needs of an AsyncLedger."""

    async def check(self, refs: Sequence[str], *, max_age_s: float | None = None) -> Report: ...


@dataclass(frozen=True)
class Guarded(Sequence[Any]):
    """What a model may be given, in the order it was found; it reads like the list of what was kept.

    `withheld` names every item whose text was kept back, with its verdict: what is dropped is told (law 17).
    `revision` and `clock` say as of when; both are None when the ledger did not answer.
    """

    kept: list[Any]
    withheld: list[tuple[Any, Verdict]]
    revision: str | None
    clock: str | None

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.kept[index]

    def __len__(self) -> int:
        return len(self.kept)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.kept)

    @property
    def notices(self) -> list[str]:
        """One line for each withheld item, for a log or for the model."""
        return [notice(verdict) for _, verdict in self.withheld]


def notice(verdict: Verdict) -> str:
    """One line that says what is withheld, why, and what to use instead."""
    name = verdict.ref or "an item without a reference"
    because = f"{verdict.reason}, cause {verdict.cause}" if verdict.cause else f"{verdict.reason}"
    instead = f"; use {verdict.successor} instead" if verdict.successor else ""
    return f"[withheld: {name} is {verdict.state} ({because}){instead}]"


@dataclass(frozen=True)
class Guard:
    """A ledger and what to do with what is not fresh.

    `on_stale`, `on_unknown`:
        drop      left out, and named in `withheld`
        annotate  kept, as a copy that carries its verdict; not in `withheld`, for nothing is held back
        redact    kept, as a copy whose text is one line that says why; named in `withheld`
        raise     StaleContext, naming all that asked for it in `details["verdicts"]`
    `on_unavailable`: when the store does not answer, or the ledger has not heard from it for too long (`behind`),
    `raise` the error, or `withhold` everything as unknown, `unreachable` (whatever `on_unknown` says: nothing passes
    that was not looked at).
    `id_of`: gives the reference of an item, or None; for items that carry it in another place.
    `max_age_s`: what was not verified for longer counts as fallen, seconds.

    Raises ValueError for a word that is none of these, StaleContext and the ledger's errors when used.
    """

    ledger: Any
    on_stale: OnFallen = "drop"
    on_unknown: OnFallen = "drop"
    on_unavailable: OnUnavailable = "raise"
    id_of: IdOf | None = None
    max_age_s: float | None = None

    def __post_init__(self) -> None:
        for name, allowed in (
            ("on_stale", OnFallen),
            ("on_unknown", OnFallen),
            ("on_unavailable", OnUnavailable),
        ):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(f"{name}={getattr(self, name)!r}: one of {', '.join(get_args(allowed))}")

    def __call__(self, items: Iterable[Any]) -> Guarded:
        """Judge items by a Ledger."""
        found = _Found.of(items, self.id_of)
        try:
            report = self.ledger.check(found.asked, max_age_s=self.max_age_s)
        except (StoreError, ServiceError) as error:
            return self._without_answer(found, error)
        if inspect.isawaitable(report):
            _close(report)
            raise TypeError("this is an AsyncLedger: use `await aguard(…)` or `await Guard(…).acheck(items)`")
        return self._judged(found, report)

    async def acheck(self, items: Iterable[Any]) -> Guarded:
        """Judge items by an AsyncLedger, or by a Ledger in a thread."""
        if not inspect.iscoroutinefunction(self.ledger.check):
            return await asyncio.to_thread(self, list(items))
        found = _Found.of(items, self.id_of)
        try:
            report = await self.ledger.check(found.asked, max_age_s=self.max_age_s)
        except (StoreError, ServiceError) as error:
            return self._without_answer(found, error)
        return self._judged(found, report)

    def wrap(self, retriever: Callable[..., Any]) -> Callable[..., Any]:
        """The retriever, guarded: the same arguments, and Guarded instead of the list it returned.

        A coroutine function stays one; with an AsyncLedger a plain retriever becomes one.
        """
        if inspect.iscoroutinefunction(retriever) or inspect.iscoroutinefunction(self.ledger.check):

            async def aretrieve(*args: Any, **kwargs: Any) -> Guarded:
                found = retriever(*args, **kwargs)
                return await self.acheck(await found if inspect.isawaitable(found) else found)

            return aretrieve

        def retrieve(*args: Any, **kwargs: Any) -> Guarded:
            return self(retriever(*args, **kwargs))

        return retrieve

    def _judged(self, found: _Found, report: Report) -> Guarded:
        verdicts = found.verdicts(report.verdicts)
        if any(verdict.reason == Behind.code for verdict in verdicts):  # a check tells an outage by its verdicts
            return self._without_answer(found, Behind(f"the ledger is behind at {report.revision}: nothing was judged"))
        self._raise_if_asked(verdicts)
        kept: list[Any] = []
        withheld: list[tuple[Any, Verdict]] = []
        for item, verdict in zip(found.items, verdicts, strict=True):
            action = self._action(verdict)
            if action in ("drop", "redact"):
                withheld.append((item, verdict))
            if action != "drop":
                kept.append(_treated(item, verdict, action))
        return Guarded(kept, withheld, report.revision, report.clock)

    def _action(self, verdict: Verdict) -> str:
        """`keep` for what is fresh and for nothing else: a state this version does not know is not fresh."""
        if verdict.state == FRESH:
            return "keep"
        return self.on_stale if verdict.state == STALE else self.on_unknown

    def _raise_if_asked(self, verdicts: Sequence[Verdict]) -> None:
        fallen = [verdict for verdict in verdicts if self._action(verdict) == "raise"]
        if fallen:
            lines = "; ".join(map(notice, fallen))
            told = [verdict.as_dict() for verdict in fallen]
            raise StaleContext(f"{len(fallen)} of {len(verdicts)} items are not fresh: {lines}", verdicts=told)

    def _without_answer(self, found: _Found, error: LedgerError) -> Guarded:
        """Trouble that may pass by itself withholds; a wrong address or a broken store is always told."""
        if self.on_unavailable == "raise" or not error.retry:
            raise error
        return Guarded(
            [],
            [(item, _unreachable(ref)) for item, ref in zip(found.items, found.refs, strict=True)],
            None,
            None,
        )


def guard(ledger: Checks, items: Iterable[Any], **options: Any) -> Guarded:
    """What of `items` a model may be given, by one question to the ledger. Options and errors: `Guard`."""
    return Guard(ledger, **options)(items)


async def aguard(ledger: AsyncChecks | Checks, items: Iterable[Any], **options: Any) -> Guarded:
    """The same with an AsyncLedger."""
    return await Guard(ledger, **options).acheck(items)


# --- references of items ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """Items, the reference each one carries (None: none), and each reference once, as the ledger is asked."""

    items: list[Any]
    refs: list[Any]
    asked: list[str]

    @classmethod
    def of(cls, items: Iterable[Any], id_of: IdOf | None) -> _Found:
        listed = list(items)
        refs = [(id_of or reference_of)(item) for item in listed]
        return cls(listed, refs, list(dict.fromkeys(ref for ref in refs if isinstance(ref, str))))

    def verdicts(self, answered: Sequence[Verdict]) -> list[Verdict]:
        """One for each item."""
        by_ref = dict(zip(self.asked, answered, strict=True))
        return [by_ref[ref] if isinstance(ref, str) else _no_reference(ref) for ref in self.refs]


def _no_reference(ref: Any) -> Verdict:
    """`malformed`: nothing was asked of the ledger that it could have not found."""
    return Verdict("" if ref is None else str(ref), UNKNOWN, "malformed")


def _unreachable(ref: Any) -> Verdict:
    return Verdict(ref, UNKNOWN, "unreachable") if isinstance(ref, str) else _no_reference(ref)


def reference_of(item: Any) -> Any:
    """What an item carries under `ledger_ref`, else `ref`: itself or in its metadata; None if it has none.

    A tuple, such as (document, score), stands for its first element.
    """
    if type(item) is tuple:
        return reference_of(item[0]) if item else None
    values = (_field(holder, name) for name in REFERENCE_FIELDS for holder in (item, _metadata(item)))
    return next((value for value in values if value is not None), None)


def _field(holder: Any, name: str) -> Any:
    return holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)


def _metadata(item: Any) -> Mapping[str, Any] | None:
    found = _field(item, "metadata")
    return found if isinstance(found, Mapping) else None


# --- copies of items: the caller's own are never touched ----------------------------------------------------


def _treated(item: Any, verdict: Verdict, action: str) -> Any:
    if action == "annotate":
        return _annotated(item, verdict)
    return _redacted(item, notice(verdict)) if action == "redact" else item


def _annotated(item: Any, verdict: Verdict) -> Any:
    if type(item) is tuple:
        return (_annotated(item[0], verdict), *item[1:])
    metadata = _metadata(item)
    if metadata is None:
        return _copy_with(item, {VERDICT_FIELD: verdict.as_dict()})
    return _copy_with(item, {"metadata": {**metadata, VERDICT_FIELD: verdict.as_dict()}})


def _redacted(item: Any, line: str) -> Any:
    """A copy whose text is `line`, wherever text stands. Raises TypeError where none is found."""
    if isinstance(item, str):
        return line
    if type(item) is tuple and item:
        return (_redacted(item[0], line), *item[1:])
    fields: dict[str, Any] = _texts_of(item, line)
    metadata = _metadata(item)
    in_metadata = _texts_of(metadata, line)
    if not fields and not in_metadata:
        raise TypeError(f"cannot redact {type(item).__name__}: no text under {', '.join(TEXT_FIELDS)}; use 'drop'")
    return _copy_with(item, {**fields, "metadata": {**metadata, **in_metadata}} if metadata and in_metadata else fields)


def _texts_of(holder: Any, line: str) -> dict[str, Any]:
    return {name: line for name in TEXT_FIELDS if isinstance(_field(holder, name), str)}


def _copy_with(item: Any, fields: dict[str, Any]) -> Any:
    """A shallow copy with other fields: of a mapping, dataclass, pydantic model (frozen too), any object.

    Raises TypeError when the copy does not show them: a text that stayed behind would pass as redacted.
    """
    twin = _twin(item, fields)
    if any(_field(twin, name) != value for name, value in fields.items()):  # a property that reads it from elsewhere
        raise TypeError(f"cannot change {', '.join(fields)} of {type(item).__name__} in a copy; use 'drop'")
    return twin


def _twin(item: Any, fields: dict[str, Any]) -> Any:
    if isinstance(item, Mapping):
        return {**item, **fields}
    if dataclasses.is_dataclass(item) and all(name in item.__dataclass_fields__ for name in fields):
        return dataclasses.replace(item, **fields)  # type: ignore[type-var]
    if hasattr(item, "model_copy"):
        return item.model_copy(update=fields)
    twin = copy.copy(item)
    for name, value in fields.items():
        try:
            setattr(twin, name, value)
        except AttributeError as error:
            raise TypeError(f"cannot change {name} of {type(item).__name__} in a copy; use 'drop'") from error
    return twin


def _close(report: Awaitable[Any]) -> None:
    """A coroutine nobody awaits would be reported as forgotten."""
    if inspect.iscoroutine(report):
        report.close()
