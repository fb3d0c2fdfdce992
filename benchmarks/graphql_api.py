"""GraphQL `freshness` of 100 references, a tenth of them stale, in one event loop, without HTTP: as texts, and with the
entries and causes of what is stale. The floor is a naive Strawberry field that answers the same as 100 objects, without
caches, from verdicts that cost nothing."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterator

import orjson
import strawberry
from strawberry import ID

from benchmarks import histories
from benchmarks.figures import Row, Section, cost
from benchmarks.measure import paired, seconds
from benchmarks.run import Run
from ledger.api.schema import build_schema
from ledger.app import open_ledgers
from ledger.service.interchange import import_lines
from ledger.service.ledgers import Ledgers

SECTION = Section("graphql", "Checks by GraphQL", "entries in the log", "references")
REFERENCES = 100
STALE = 10
REPEATS = 100

OURS = """query ($refs: [ID!]!) { freshness(refs: $refs) {
  revision clock fresh withheld { ref state reason entryId causeId successorRef } } }"""
LINKED = """query ($refs: [ID!]!) { freshness(refs: $refs) {
  revision clock fresh withheld { ref state reason entry { id } cause { id } } } }"""
NAIVE = """query ($refs: [ID!]!) { freshness(refs: $refs) {
  revision clock verdicts { ref state reason entryId causeId successorRef } } }"""


@strawberry.type
class Verdict:
    ref: ID
    state: str
    reason: str | None
    entry_id: ID | None
    cause_id: ID | None
    successor_ref: ID | None


@strawberry.type
class Report:
    revision: str
    clock: str
    verdicts: list[Verdict]


@strawberry.type
class Query:
    """What one would write first: an object for each reference, from a verdict that costs nothing."""

    @strawberry.field
    async def freshness(self, refs: list[ID]) -> Report:
        stale = len(refs) // STALE
        verdicts = [
            Verdict(ref=ref, state="stale", reason="revoked", entry_id=ID("@1"), cause_id=ID("@2"), successor_ref=None)
            if number % stale == 0
            else Verdict(ref=ref, state="fresh", reason=None, entry_id=ID("@1"), cause_id=None, successor_ref=None)
            for number, ref in enumerate(refs)
        ]
        return Report(revision="main@1.00000000", clock="2026-01-01T00:00:00.000000Z", verdicts=verdicts)


def measure(run: Run) -> Iterator[Row]:
    size = run.scale.served
    with asyncio.Runner() as runner:
        ledgers = open_ledgers("memory:")
        runner.run(ledgers.open())
        try:
            wire = runner.run(_prepare(ledgers, size))
            naive = _asking(runner, strawberry.Schema(Query), NAIVE, wire, None)
            for what, text in (("freshness", OURS), ("with entries and causes", LINKED)):
                ours = _asking(runner, build_schema(), text, wire, ledgers)
                yield cost(
                    paired(ours, naive, run.scale.short_rounds),
                    REPEATS,
                    what=what,
                    size=size,
                    count=REFERENCES,
                    beside="naive field",
                    limit=0.6,
                )
        finally:
            runner.run(ledgers.close())


async def _prepare(ledgers: Ledgers, size: int) -> list[str]:
    """A history, and requests as they come in over a wire."""
    service = await ledgers.get("main", create=True)
    await import_lines(service, histories.lines(size))
    stale = [f"withdrawn/{number}" for number in range(10 * STALE)]
    for key in stale:
        await service.apply({"op": "record", "kind": "dependency", "key": key, "content": key})
        await service.apply({"op": "revoke", "target": key})
    fresh = service.live.index.key_names[: -len(stale)]
    chance = random.Random(5)
    asked = [chance.sample(fresh, REFERENCES - STALE) + chance.sample(stale, STALE) for _ in range(REPEATS)]
    return [json.dumps(chance.sample(refs, REFERENCES)) for refs in asked]


def _asking(
    runner: asyncio.Runner, schema: strawberry.Schema, text: str, wire: list[str], ledgers: Ledgers | None
) -> Callable[[], float]:
    async def ask() -> None:
        for refs in wire:
            result = await schema.execute(text, {"refs": json.loads(refs)}, context_value=ledgers)
            assert not result.errors, result.errors
            orjson.dumps(result.data)

    return lambda: seconds(lambda: runner.run(ask()))
