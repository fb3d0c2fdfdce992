"""Checkpoints: a ledger's index on local disk, so that a process that starts need not read the whole log.

One is trusted only if the log has its chain hash at its entry: that covers every entry before. Whatever else it is
(damaged, of another history, of another version) is said once, and the log is read instead; a later one replaces it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

import msgspec
import platformdirs

from ledger.model.entry import GENESIS, MARK_BYTES
from ledger.service.live import Live
from ledger.store.base import Store
from ledger.validity.checkpoint import Snapshot, restored
from ledger.validity.index import Index

FORMAT = 4
ENTRIES_MIN = 10_000
"""What a shorter log would save is less than what a file costs."""

DIRECTORY = "LEDGER_CHECKPOINT_DIR"
UNUSED_S = 90 * 86_400
"""A checkpoint that nobody wrote or read for so long is removed, when another is written beside it."""

_OURS = re.compile(r".+-[0-9a-f]{16}\.(checkpoint|\w+\.part)", re.ASCII)

_DIGEST_BYTES = hashlib.sha256().digest_size

logger = logging.getLogger(__name__)


class _Header(msgspec.Struct):
    """The first line of the file, for people too."""

    format: int
    byte_order: str
    ledger: str
    entries: int
    hash: str
    form_bytes: int


class _Refused(Exception):
    """Why a checkpoint is not used."""


class Checkpoints:
    """The checkpoint of one ledger of one store."""

    def __init__(self, folder: Path, place: str, ledger: str) -> None:
        where = hashlib.sha256(place.encode()).hexdigest()[:16]
        self.ledger = ledger
        self.path = folder / f"{ledger}-{where}.checkpoint"
        self._entries = 0  # how many the file covers

    @classmethod
    def of(cls, store: Store, ledger: str) -> Checkpoints | None:
        """Where they lie as the environment says; None if there are none to be, or nothing of the store lasts."""
        said = os.environ.get(DIRECTORY)
        if store.place is None or said == "":
            return None
        return cls(Path(said or platformdirs.user_cache_dir("agent-state-ledger")), store.place, ledger)

    def is_due(self, entries: int) -> bool:
        """Whether the log has outgrown the file by so much that a new one pays."""
        return entries - self._entries >= max(ENTRIES_MIN, self._entries // 4)

    async def load(self, store: Store) -> tuple[Index, bytes] | None:
        """The index, and how the chain hash of each of its entries begins; None if there is none to be trusted.

        Raises StoreError when the log cannot be asked.
        """
        try:
            with self.path.open("rb") as file:
                header = _header(file)
                await self._check(header, store)
                found = await asyncio.to_thread(_read, file, header)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, _Refused) as error:
            logger.warning("checkpoint %s is not used: %s; the log is read instead", self.path, error)
            return None
        self._entries = header.entries
        with contextlib.suppress(OSError):  # it may be somebody else's, for all to read
            self.path.touch()
        return found

    async def _check(self, header: _Header, store: Store) -> None:
        if header.format != FORMAT or header.byte_order != sys.byteorder:
            raise _Refused(f"it has format {header.format}, {header.byte_order}-endian, not {FORMAT}, {sys.byteorder}")
        at = await store.read(self.ledger, header.entries - 1, 1) if header.ledger == self.ledger else []
        if not at or at[0].hash.hex() != header.hash:
            raise _Refused(f"it is of another history: this log has another entry {header.entries}, or none")

    async def save(self, live: Live) -> None:
        """Write one of what is durable now, whole or not at all. That it cannot be written is said, and no error."""
        taken, chain = live.copied()
        try:
            await asyncio.to_thread(self._write, taken, chain)
        except OSError as error:
            logger.warning("checkpoint %s is not written: %s", self.path, error)
        self._entries = taken.form.head.seq  # not to be tried again soon

    def _write(self, taken: Snapshot, chain: bytes) -> None:
        form, *columns = taken.parts()
        head = taken.form.head
        header = _Header(FORMAT, sys.byteorder, self.ledger, head.seq, head.hash.hex(), len(form))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._remove_unused()
        beside, prefix = self.path.parent, f"{self.path.stem}."
        with tempfile.NamedTemporaryFile(dir=beside, prefix=prefix, suffix=".part", delete=False) as file:
            try:
                digest = hashlib.sha256()
                for part in (msgspec.json.encode(header) + b"\n", form, chain, *columns):
                    digest.update(part)
                    file.write(part)
                file.write(digest.digest())
                file.close()
                Path(file.name).replace(self.path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise

    def _remove_unused(self) -> None:
        """Those of stores that are gone, and what is left of writers that were killed, or nobody ever would."""
        oldest_s = time.time() - UNUSED_S
        for path in self.path.parent.iterdir():
            with contextlib.suppress(OSError):  # another may be faster
                if _OURS.fullmatch(path.name) and path.stat().st_mtime < oldest_s:
                    path.unlink()


def _header(file: BinaryIO) -> _Header:
    try:
        return msgspec.json.decode(file.readline(1_000), type=_Header)
    except msgspec.DecodeError as error:
        raise _Refused(f"it is damaged: {error}") from None


def _read(file: BinaryIO, header: _Header) -> tuple[Index, bytes]:
    file.seek(0)
    whole = memoryview(file.read())
    body, digest = whole[:-_DIGEST_BYTES], whole[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise _Refused("it is damaged: its digest is not that of its bytes")
    start = bytes(body[:1_000]).index(b"\n") + 1
    form = body[start : start + header.form_bytes]
    marks = (header.entries + 1) * MARK_BYTES
    chain = bytes(body[start + len(form) : start + len(form) + marks])
    index = restored(bytes(form), body[start + len(form) + marks :])
    if (
        index.head.seq != header.entries
        or index.head.hash.hex() != header.hash
        or chain[:MARK_BYTES] != GENESIS[:MARK_BYTES]
    ):
        raise _Refused("it is damaged: it is not of the entry that it names")
    return index, chain
