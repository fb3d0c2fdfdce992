"""What is wrong with a command that does not fit its form, told for people: the field, what was expected, what came."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from ledger.errors import Malformed

_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_NAMES = {str: "a string", int: "an integer", bool: "a boolean"}


def complaint(error: msgspec.ValidationError, data: Mapping[str, Any], kind: type[msgspec.Struct]) -> Malformed:
    """The refusal of `data`, which `kind` did not take with this error."""
    told = str(error)
    if match := _UNKNOWN.match(told):
        return Malformed(f"unknown field {match[1]}", field=match[1])
    if match := _MISSING.match(told):
        return Malformed(f"{match[1]} is missing", field=match[1])
    hints = get_type_hints(kind, include_extras=True)
    for name, value in data.items():
        for field, text in _wrong(str(name), value, hints.get(name, Any)):
            return Malformed(text, field=field)
    return Malformed(told)


def json_name(value: Any) -> str:
    """A JSON value as a message names it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return f"the number {value}"
        case str():
            return repr(value if len(value) <= 60 else value[:60] + "…")
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return type(value).__name__


def _wrong(field: str, value: Any, form: Any) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) for every part of a value that does not fit; msgspec tells neither which nor what."""
    form, limits = _unwrapped(form)
    if _fits(value, form, limits):
        return
    items = get_args(form)
    if _is_list(form) and isinstance(value, list | tuple):
        if not value:
            yield field, f"{field} is empty; leave it out or name at least one"
        for number, item in enumerate(value):
            yield from _wrong(f"{field}.{number}", item, items[0])
    elif get_origin(form) is tuple and isinstance(value, list | tuple) and len(value) == len(items):
        for number, (item, of) in enumerate(zip(value, items, strict=True)):
            yield from _wrong(f"{field}.{number}", item, of)
    elif isinstance(value, str) and limits.max_length is not None and len(value) > limits.max_length:
        yield field, f"{field} is longer than {limits.max_length:,} characters"
    else:
        yield field, f"{field} should be {_expected(form, limits)}, not {json_name(value)}"


def _is_list(form: Any) -> bool:
    """Whether a type is of as many things as there are, all alike."""
    return get_origin(form) is list or (get_origin(form) is tuple and get_args(form)[-1] is Ellipsis)


def _unwrapped(form: Any) -> tuple[Any, Meta]:
    """A type without what may be left out of it, and the limits that are set on it."""
    limits = Meta()
    while True:
        if get_origin(form) is Annotated:
            limits = next((one for one in form.__metadata__ if isinstance(one, Meta)), limits)
            form = form.__origin__
        elif get_origin(form) in (Union, types.UnionType):
            form = get_args(form)[0]
        else:
            return form, limits


def _fits(value: Any, form: Any, limits: Meta) -> bool:
    try:
        msgspec.convert(value, Annotated[form, limits] | None)
    except msgspec.ValidationError:
        return False
    return True


def _expected(form: Any, limits: Meta) -> str:
    if get_origin(form) is Literal:
        return " or ".join([", ".join(map(repr, get_args(form)[:-1])), repr(get_args(form)[-1])])
    if get_origin(form) is tuple and not _is_list(form):
        return "a pair of reference and digest"
    if limits.pattern is not None:
        return "a digest, sha256: and 64 lower-case hex digits"
    if form is int and limits.ge is not None:
        return f"an integer from {limits.ge} on"
    return _NAMES.get(form, "a list")
