"""What is wrong with the parameters and the body of a request, in our words and not in those of the framework."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from ledger.errors import Malformed


def of_validation(errors: Sequence[dict[str, Any]], route: Any) -> Malformed:
    """Of all that does not fit, a name that there is none of first: what seems to be missing may be meant by it."""
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    if first["type"] == "json_invalid":  # here the framework tells a position, where else it tells a field
        return Malformed(f"the body is not JSON: {first['ctx']['error']} (character {first['loc'][-1]})")
    place, *inner = first["loc"]
    field = ".".join(map(str, inner)) or None
    if first["type"] == "extra_forbidden" and field is not None:
        return no_such(field, list(_names(route, place)), "parameter" if place == "query" else "field")
    return Malformed(_told(field or f"the {place}", first), field=field)


def no_such(name: str, known: Collection[str], what: str = "parameter") -> Malformed:
    """The refusal of a name that nothing has, with the nearest that something has, or all."""
    near = difflib.get_close_matches(name, known, n=1)
    there = f"there {'is' if len(known) == 1 else 'are'} {', '.join(known)}"
    hint = f"did you mean {near[0]}?" if near else there
    return Malformed(f"there is no {what} {name[:80]!r}; {hint}", field=name)


def _told(name: str, error: dict[str, Any]) -> str:
    given = str(error["input"])[:80]
    match error["type"]:
        case "missing":
            return f"{name} is missing"
        case "greater_than_equal":
            return f"{name} is at least {error['ctx']['ge']:,}, not {given}"
        case "less_than_equal":
            return f"{name} is at most {error['ctx']['le']:,}, not {given}"
        case "int_parsing":
            return f"{name} is a whole number, not {given!r}"
    return f"{name}: {error['msg']}"


def _names(route: Any, place: str) -> Iterator[str]:
    """The names that a route takes in the query or the body: it describes them by a model."""
    taken = getattr(route, "dependant", None)
    for parameter in getattr(taken, f"{place}_params", ()):
        model = parameter.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from (field.alias or name for name, field in model.model_fields.items())
