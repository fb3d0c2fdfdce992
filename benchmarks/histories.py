"""Histories to measure on: entries that each rest on two earlier ones."""

from __future__ import annotations

import random
from collections.abc import Iterator

import orjson


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
