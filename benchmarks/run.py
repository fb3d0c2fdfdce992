"""One run: how large it is, the logs and the servers that its parts share, and how far it is."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from unittest import mock

from benchmarks import histories, raw
from benchmarks.scale import Scale
from ledger import Ledger
from ledger.cli.progress import Bar
from ledger.model.entry import EMPTY, Sealed
from ledger.service.checkpoints import DIRECTORY
from ledger.store.memory import MemoryStore
from ledger.store.sqlite import SqliteStore


class Place(NamedTuple):
    """An engine: where to open a new ledger of that name, and what writing costs there without one."""

    engine: str
    address: Callable[[str], str]
    commits: Callable[[Sequence[Sealed], int], float]
    """Seconds of writing entries that rest on nothing, so many a commit."""
    graph: Callable[[Sequence[Sealed], int], float]
    """The same of entries with their edges."""


class Run:
    """What the parts of a run are handed; a context, in whose end all that it made is removed."""

    def __init__(self, scale: Scale, bar: Bar, *, neo4j: bool | str) -> None:
        self.scale = scale
        self.bar = bar
        self.versions: dict[str, str] = {}  # of the servers that were used
        self._neo4j = neo4j  # or where one runs already
        self._until_the_end = contextlib.ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self.folder = Path(self._until_the_end.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        kept = {DIRECTORY: str(self.folder / "checkpoints")}
        self._until_the_end.enter_context(mock.patch.dict(os.environ, kept))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._until_the_end.close()

    # -- logs ---------------------------------------------------------------------------------------------------------

    def grown(self, size: int) -> Path:
        """An SQLite file whose ledger has so many entries, each with two premises. It is others' too: not to be
        written to."""
        path = self.folder / f"{size}.db"
        if not path.exists():
            smaller = max((one for one in self._sizes_grown() if one < size), default=0)
            begun = self.folder / "growing.db"
            if smaller:
                shutil.copyfile(self.grown(smaller), begun)
            with Ledger.open(f"sqlite:///{begun}") as ledger, self.told(f"a log of {size:,} entries", size) as told:
                more = itertools.islice(histories.lines(size), smaller, None)
                ledger.import_lines(more, progress=lambda done: told(smaller + done))
            begun.rename(path)
        return path

    def _sizes_grown(self) -> Iterator[int]:
        return (int(path.stem) for path in self.folder.glob("*.db") if path.stem.isdigit())

    @contextlib.contextmanager
    def copied(self, size: int) -> Iterator[Path]:
        """A copy of such a file, to write to."""
        path = self.folder / f"copy-{next(self._numbers)}.db"
        shutil.copyfile(self.grown(size), path)
        try:
            yield path
        finally:
            path.unlink()

    def in_memory(self, size: int) -> MemoryStore:
        """The same log in memory, to open a ledger on."""
        return asyncio.run(_loaded(SqliteStore(self.grown(size))))

    # -- engines ------------------------------------------------------------------------------------------------------

    def places(self) -> Iterator[Place]:
        """SQLite, and Neo4j where there is to be one."""
        yield Place(
            "SQLite",
            lambda name: f"sqlite:///{self.folder}/{name}.db",
            lambda log, batch: raw.sqlite_commits(self._raw_file(), log, batch),
            lambda log, batch: raw.sqlite_commits(self._raw_file(), log, batch),
        )
        if (uri := self.neo4j) is not None:
            yield Place(
                "Neo4j",
                lambda _: uri,
                lambda log, batch: asyncio.run(raw.neo4j_commits(uri, self.name(), log, batch)),
                lambda log, batch: asyncio.run(raw.neo4j_graph(uri, self.name(), log, batch)),
            )

    def _raw_file(self) -> Path:
        return self.folder / f"raw-{next(self._numbers)}.db"

    def name(self) -> str:
        """Of a ledger that is not there yet."""
        return f"bench-{next(self._numbers)}"

    @cached_property
    def neo4j(self) -> str | None:
        """Where a warm Neo4j answers; None if there is to be none."""
        if not self._neo4j:
            return None
        uri = self._neo4j if isinstance(self._neo4j, str) else self._started()
        self.versions["Neo4j"] = asyncio.run(raw.neo4j_version(uri))
        # A fresh server is half as fast as a warm one, and the first ledger makes the constraints.
        singly = histories.log_of(histories.notes(self.scale.imported // 20))
        asyncio.run(raw.neo4j_commits(uri, self.name(), singly, 1))
        with Ledger.open(uri, self.name()) as ledger:
            ledger.import_lines(histories.lines(self.scale.imported))
        return uri

    def _started(self) -> str:
        from neo4j_server import Neo4jServer

        return self._until_the_end.enter_context(Neo4jServer()).uri

    # -- how far it is ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def told(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show something that takes long in place of what is shown."""
        before = self.bar.done, self.bar.total, self.bar.what
        yield lambda done: self.bar.to(done, total=total, what=what)
        self.bar.to(before[0], total=before[1], what=before[2])


async def _loaded(source: SqliteStore) -> MemoryStore:
    store, head = MemoryStore(), EMPTY
    await source.open(create=False)
    while page := await source.read("main", head.seq, content=True):
        await store.append("main", head, page)
        head = await store.head("main") or EMPTY
    await source.close()
    return store
