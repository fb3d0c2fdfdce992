"""Checks of references drawn at random, freshly decoded as they come over a wire, in memory: now; and at the revision
before the last thousandth of the entries were revoked. The floor is a look-up of the same texts in a dict, and of the
state of each in a bytearray."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterable, Iterator

from benchmarks.figures import Row, Section, cost
from benchmarks.measure import paired, seconds
from benchmarks.run import Run
from ledger import Ledger

SECTION = Section("check", "Checks", "entries in the log", "references")
COUNTS = (1, 100, 1_000)

BARS = {"keys": 2.0, "key@sha256": 4.0}
BARRED = 100
PAST_BAR = 2.0
"""In the past at most so many times that again."""


def measure(run: Run) -> Iterator[Row]:
    for size in run.scale.sizes:
        with Ledger.open(run.in_memory(size)) as ledger:
            index = ledger._ledger._service.live.index
            keys = list(index.key_names)
            digests = [f"{key}@sha256:{index.digest_at(seq).hex()}" for seq, key in enumerate(keys, start=1)]
            before = ledger.revision
            yield from _rows(run, ledger, size, {"keys": keys, "key@sha256": digests}, None)
            ledger.apply([{"op": "revoke", "target": key} for key in keys[-max(1, size // 1_000) :]])
            yield from _rows(run, ledger, size, {"keys": keys, "key@sha256": digests}, before)


def _rows(run: Run, ledger: Ledger, size: int, refs: dict[str, list[str]], at: str | None) -> Iterator[Row]:
    for what, texts in refs.items():
        for count in COUNTS:
            yield _row(run, ledger, what, size, count, texts, at)


def _row(run: Run, ledger: Ledger, what: str, size: int, count: int, refs: list[str], at: str | None) -> Row:
    chance, repeats = random.Random(3), run.scale.references // count
    # No text keeps its hash from one check to the next.
    wire = [json.dumps(chance.sample(refs, count)) for _ in range(repeats)]
    place, state = {ref: number for number, ref in enumerate(refs)}, bytearray(len(refs))

    def ours() -> float:
        asked = [json.loads(text) for text in wire]
        return seconds(lambda: _done(ledger.check(each, at=at) for each in asked))

    def raw() -> float:
        asked = [json.loads(text) for text in wire]
        return seconds(lambda: _done([state[place[ref]] for ref in each] for each in asked))

    return cost(
        paired(ours, raw, run.scale.short_rounds),
        repeats,
        what=f"{what}, {'in the past' if at else 'now'}",
        size=size,
        count=count,
        beside="dict",
        limit=BARS[what] * (PAST_BAR if at else 1) if count == BARRED else None,
    )


def _done(answers: Iterable[object]) -> None:
    """Each is dropped before the next, as by whoever asks once per retrieval: what is kept costs fresh memory."""
    deque(answers, maxlen=0)
