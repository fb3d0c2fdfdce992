"""Audit: nothing is believed. The chain, the contents, the validity and the shown states are computed again."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from ledger.clock import Clock
from ledger.model.canonical import digest_of_bytes
from ledger.model.entry import EMPTY, GENESIS, Entry, Head, Record, Revocation, Sealed, chain_hash, revision_token
from ledger.model.view import AuditProgress, AuditReport
from ledger.service.live import Live
from ledger.store.base import PAGE_ENTRIES, StateStore, Store
from ledger.validity.oracle import Oracle
from ledger.validity.verdicts import Reader

PROBLEMS_MAX = 100


async def audit(store: Store, live: Live, clock: Clock, progress: AuditProgress | None = None) -> AuditReport:
    """Read the whole log and hold everything against it. Takes some seconds for each 100,000 entries.

    Others write meanwhile: what they add is read too, until all is there that the index knows.
    """
    tell = progress or (lambda step, done, total: None)
    await live.catch_up()
    log = _Log()
    while live.head.seq > len(log.entries) and await _read_on(store, live, log, tell):
        pass
    seen = _seen(live, clock)
    problems = log.finish()
    if seen.head.seq and not log.has(seen.head):
        problems.append(f"the log is not the one this process followed up to {live.revision}")
    head = await store.head(live.name) or EMPTY
    if head.seq <= len(log.entries) and head.seq and not log.has(head):
        problems.append(f"the head names entry {head.seq} with a hash that is not its own")
    tell("validity", 0, seen.head.seq)
    # Beside the event loop, which has others to answer.
    states = await asyncio.to_thread(_audit_validity, seen, log.entries, problems)
    tell("validity", seen.head.seq, seen.head.seq)
    shown = await _audit_shown(store, live, problems) if isinstance(store, StateStore) else None
    chain = log.hashes[-1] if log.hashes else GENESIS
    return AuditReport(
        ok=not problems,
        revision=revision_token(live.name, len(log.entries), chain),
        hash=chain.hex(),
        entries=len(log.entries),
        contents=log.contents,
        states=states,
        shown_states=shown,
        problems=tuple(problems[:PROBLEMS_MAX]),
    )


async def _read_on(store: Store, live: Live, log: _Log, tell: AuditProgress) -> bool:
    """The next page of the log; whether there was one."""
    page = await store.read(live.name, len(log.entries), PAGE_ENTRIES, content=True)
    for sealed in page:
        log.add(sealed)
    tell("chain", len(log.entries), max(live.head.seq, len(log.entries)))
    await asyncio.sleep(0)
    return bool(page)


class _Seen(NamedTuple):
    """What the index says of every record, all at one moment."""

    head: Head
    clock_us: int
    states: dict[int, tuple[str, str | None]]


def _seen(live: Live, clock: Clock) -> _Seen:
    with live.durable as index:
        index.advance(clock())
        reader = Reader(index)
        records = (seq for seq in range(1, live.head.seq + 1) if index.is_record(seq))
        return _Seen(live.head, index.clock_us, {seq: reader.state(seq) for seq in records})


class _Log:
    """The log as read, checked entry by entry."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.hashes: list[bytes] = []
        self.contents = 0
        self._problems: list[str] = []
        self._without_content: set[int] = set()
        self._erased: set[int] = set()
        self._recorded_at_us = 0

    def add(self, sealed: Sealed) -> None:
        entry, place = sealed.entry, len(self.entries) + 1
        previous = self.hashes[-1] if self.hashes else GENESIS
        if entry.seq != place:
            self._problems.append(f"entry {place} is missing: entry {entry.seq} stands there")
        if chain_hash(sealed.envelope, previous) != sealed.hash:
            self._problems.append(f"entry {entry.seq}: its hash does not cover its text and the entry before")
        if entry.recorded_at_us < self._recorded_at_us:
            self._problems.append(f"entry {entry.seq}: recorded before the entry before it")
        self._recorded_at_us = entry.recorded_at_us
        if isinstance(entry, Record):
            self._check_content(entry, sealed.content)
        if isinstance(entry, Revocation):
            self._erased.update(entry.erases)
        self.entries.append(entry)
        self.hashes.append(sealed.hash)

    def _check_content(self, record: Record, content: str | None) -> None:
        if record.without_content:
            return
        if content is None:
            self._without_content.add(record.seq)
            return
        self.contents += 1
        if digest_of_bytes(content.encode()) != record.digest:
            self._problems.append(f"entry {record.seq}: its content does not have its digest")

    def has(self, head: Head) -> bool:
        """Whether the log goes through there."""
        return head.seq <= len(self.hashes) and self.hashes[head.seq - 1] == head.hash

    def finish(self) -> list[str]:
        lost = self._without_content - self._erased
        self._problems += [f"entry {seq}: its content is gone, and no erasure says so" for seq in sorted(lost)]
        return self._problems


def _audit_validity(seen: _Seen, entries: list[Entry], problems: list[str]) -> int:
    oracle = Oracle(entries[: seen.head.seq])
    expected = oracle.states(seen.clock_us)
    for seq, told in expected.items():
        if (ours := seen.states.get(seq, (None, None))) != told:
            problems.append(f"entry {seq}: the index says {_told(*ours)}, the laws {_told(*told)}")
    return len(expected)


async def _audit_shown(store: StateStore, live: Live, problems: list[str]) -> int:
    upto, shown = await store.read_states(live.name)
    head = await store.head(live.name) or EMPTY
    with live.durable:
        if upto != live.head.seq or head != live.head:
            return 0  # states are written behind the head: of what lies between nothing is promised
        reader = Reader(live.index)
        for seq, told in shown.items():
            if told != reader.state(seq):
                problems.append(f"entry {seq}: its node says {_told(*told)}, the index {_told(*reader.state(seq))}")
        return len(shown)


def _told(state: str | None, reason: str | None) -> str:
    return f"{state or 'nothing'} {reason or ''}".rstrip()
