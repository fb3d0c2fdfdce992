"""A check of 100 random references beside a raw look-up of the same texts in a dict and a bytearray."""

from __future__ import annotations

import json
import random

from benchmarks import histories
from benchmarks.measure import Row, paired, seconds
from ledger import Ledger

REFERENCES = 100
REPEATS = 300


def measure(size: int, rounds: int) -> list[Row]:
    """At a ledger of `size` entries: references by key, and by key and digest."""
    with Ledger.open("memory:") as ledger:
        ledger.import_lines(histories.lines(size))
        index = ledger._ledger._service.live.index
        names = index.key_names
        digests = [f"{name}@sha256:{index.digest_at(seq).hex()}" for seq, name in enumerate(names, start=1)]
        return [
            _row(ledger, f"check {REFERENCES} keys at {size:,} entries", names, rounds, "at most 2"),
            _row(ledger, f"check {REFERENCES} key@sha256 at {size:,} entries", digests, rounds, "at most 4"),
        ]


def _row(ledger: Ledger, what: str, refs: list[str], rounds: int, bar: str) -> Row:
    chance = random.Random(3)
    # Freshly decoded, as they come in over a wire: no text keeps its hash from one check to the next.
    wire = [json.dumps(chance.sample(refs, REFERENCES)) for _ in range(REPEATS)]
    place, state = {ref: number for number, ref in enumerate(refs)}, bytearray(len(refs))

    def ours() -> float:
        asked = [json.loads(text) for text in wire]
        return seconds(lambda: [ledger.check(each) for each in asked])

    def raw() -> float:
        asked = [json.loads(text) for text in wire]
        return seconds(lambda: [[state[place[ref]] for ref in each] for each in asked])

    mine, floor, ratio = paired(ours, raw, max(rounds, 5))
    return Row(what, f"{mine / REPEATS * 1e6:,.0f} µs", f"dict {floor / REPEATS * 1e6:,.0f} µs", ratio, bar)
