"""Histories to measure on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator

import orjson

from ledger import Ledger
from ledger.model.entry import Sealed

LEVELS = 20


def lines(entries: int, seed: int = 7) -> Iterator[bytes]:
    """Interchange lines: a tenth are grounds, the others rest on two earlier ones each."""
    chance = random.Random(seed)
    for number in range(entries):
        command: dict[str, object] = {
            "op": "record",
            "kind": "dependency" if number % 10 == 0 else "belief",
            "key": f"{'docs' if number % 10 == 0 else 'beliefs'}/{number}",
            "content": {"n": number, "text": f"what was found in step {number} of the run"},
            "actor": f"agent-{number % 7}",
            "idempotency_key": f"run-1:{number}",
        }
        if number % 10 and number > 20:
            command["because"] = [[f"@{chance.randint(1, number)}", f"@{chance.randint(1, number)}"]]
        yield orjson.dumps(command)


def notes(entries: int) -> Iterator[bytes]:
    """Interchange lines of beliefs that rest on nothing."""
    for number in range(entries):
        yield orjson.dumps(
            {
                "op": "record",
                "kind": "belief",
                "key": f"notes/{number}",
                "content": {"n": number, "text": f"what was found in step {number} of the run"},
                "idempotency_key": f"notes:{number}",
            }
        )


def log_of(history: Iterable[bytes]) -> list[Sealed]:
    """The log that these lines make."""
    with Ledger.open("memory:") as ledger:
        count = ledger.import_lines(history).lines
        return asyncio.run(ledger._ledger._service.store.read("main", 0, count, content=True))


# --- many that rest on one root: key `NAME/root`, its dependants `NAME/0`, `NAME/1` … ---------------------------------

Shape = Callable[[str, int, int, random.Random], list[list[str]]]
"""What the dependant of that number rests on, of so many."""


def fan(name: str, number: int, size: int, chance: random.Random) -> list[list[str]]:
    """All rest on the root."""
    return [[f"{name}/root"]]


def chain(name: str, number: int, size: int, chance: random.Random) -> list[list[str]]:
    """Each rests on the one before."""
    return [[f"{name}/{number - 1}" if number else f"{name}/root"]]


def mesh(name: str, number: int, size: int, chance: random.Random) -> list[list[str]]:
    """Twenty levels; each rests on two of the level before."""
    width = max(1, size // LEVELS)
    level = number // width
    if not level:
        return [[f"{name}/root"]]
    first = (level - 1) * width
    return [[f"{name}/{first + chance.randrange(width)}", f"{name}/{first + chance.randrange(width)}"]]


def dependants(shape: Shape, size: int, name: str = "b") -> Iterator[bytes]:
    """Interchange lines of a root and what rests on it."""
    chance = random.Random(3)
    yield orjson.dumps({"op": "record", "kind": "dependency", "key": f"{name}/root", "content": 0})
    for number in range(size):
        because = shape(name, number, size, chance)
        yield orjson.dumps(
            {"op": "record", "kind": "belief", "key": f"{name}/{number}", "content": number, "because": because}
        )
