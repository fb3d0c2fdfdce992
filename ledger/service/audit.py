"""Audit: nothing is believed. The chain, the contents, the validity and the shown states are computed again."""

from __future__ import annotations

from ledger.clock import Clock
from ledger.model.canonical import digest_of_bytes
from ledger.model.entry import EMPTY, GENESIS, Entry, Record, Revocation, Sealed, chain_hash, revision_token
from ledger.model.view import AuditProgress, AuditReport
from ledger.service.live import Live
from ledger.store.base import PAGE_ENTRIES, StateStore, Store
from ledger.validity.oracle import Oracle
from ledger.validity.verdicts import Reader

PROBLEMS_MAX = 100


async def audit(store: Store, live: Live, clock: Clock, progress: AuditProgress | None = None) -> AuditReport:
    """Read the whole log and hold everything against it. Takes some seconds for each 10,000 entries."""
    tell = progress or (lambda step, done, total: None)
    await live.catch_up()
    total = live.head.seq
    log = _Log()
    while page := await store.read(live.name, len(log.entries), PAGE_ENTRIES, content=True):
        for sealed in page:
            log.add(sealed)
        tell("chain", len(log.entries), total)
        if len(log.entries) >= total:
            break
    problems = log.finish()
    if live.head.seq and not (len(log.entries) >= live.head.seq and log.hashes[live.head.seq - 1] == live.head.hash):
        problems.append(f"the log is not the one this process followed up to {live.revision}")
    head = await store.head(live.name) or EMPTY
    if head.seq <= len(log.entries) and head.seq and log.hashes[head.seq - 1] != head.hash:
        problems.append(f"the head names entry {head.seq} with a hash that is not its own")
    tell("validity", 0, total)
    states = _audit_validity(live, clock, log.entries, problems)
    tell("validity", total, total)
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

    def finish(self) -> list[str]:
        lost = self._without_content - self._erased
        self._problems += [f"entry {seq}: its content is gone, and no erasure says so" for seq in sorted(lost)]
        return self._problems


def _audit_validity(live: Live, clock: Clock, entries: list[Entry], problems: list[str]) -> int:
    with live.durable:
        index = live.index
        index.advance(clock())
        reader = Reader(index)
        oracle = Oracle(entries[: index.head.seq])
        expected = oracle.states(index.clock_us)
        for seq, (state, reason) in expected.items():
            ours = reader.state(seq)
            if ours != (state, reason):
                problems.append(f"entry {seq}: the index says {_told(*ours)}, the laws {_told(state, reason)}")
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
