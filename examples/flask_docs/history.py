"""Release after release into one ledger, and which release an entry came with."""

from __future__ import annotations

import time
from bisect import bisect_left
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from examples.flask_docs.releases import Release, unpack_docs
from ledger import Ledger
from ledger.ingest import Chunk, IngestReport, ingest

PREFIX = "flask"
ATTRIBUTES = {"project": "Flask", "license": "BSD-3-Clause"}
"""What holds for every page in all releases. With the version in it, every release would question all."""


@dataclass
class History:
    """What was brought in so far: the sections of each release, and where in the log it ends."""

    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)

    def bring_in(self, ledger: Ledger, release: Release, package: Path) -> tuple[IngestReport, float]:
        """Ingest the pages of a release; the report, and the seconds it took."""
        with TemporaryDirectory(prefix="flask-docs-") as folder:
            pages = unpack_docs(package, Path(folder))
            started = time.perf_counter()
            report = ingest(ledger, pages, prefix=PREFIX, attributes=ATTRIBUTES, include=("*.rst",))
        self.chunks[release.version] = report.references
        self.ends.append(_seq(report.revision))
        return report, time.perf_counter() - started

    def release_of(self, entry: str) -> str | None:
        """The release that brought an entry, given as @42; None if it came after all."""
        place = bisect_left(self.ends, int(entry.removeprefix("@")))
        return list(self.chunks)[place] if place < len(self.ends) else None

    def moved(self, key: str) -> str | None:
        """Where the last text of a section that is gone stands today, if it stands there word for word."""
        *_, last = (texts[key] for version in self.chunks if key in (texts := self.texts(version)))
        newest = self.texts(list(self.chunks)[-1])
        return next((other for other, text in newest.items() if text == last and key not in newest), None)

    def texts(self, version: str) -> dict[str, str]:
        """The sections of a release by their key."""
        return {chunk.key: chunk.text for chunk in self.chunks[version]}


def _seq(revision: str) -> int:
    """Of a token like flask-docs@1042.9f3c1a2b."""
    return int(revision.rpartition("@")[2].partition(".")[0])
