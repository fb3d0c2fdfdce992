"""Flask's source packages: fetched once by pip, kept in the user's cache, unpacked to their pages alone."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PIP_TIMEOUT_S = 120
SOCKET_TIMEOUT_S = 15
RETRIES = 2  # pip's own five, each up to the timeout, keep somebody behind a silent firewall waiting


@dataclass(frozen=True)
class Release:
    """A version of Flask, and the digest of the source package that this demo was written for."""

    version: str
    sha256: str


RELEASES = (
    Release("0.12.5", "fac2b9d443e49f7e7358a444a3db5950bdd0324674d92ba67f8f1f15f876b14f"),
    Release("1.0.4", "ed1330220a321138de53ec7c534c3d90cf2f7af938c7880fc3da13aa46bf870f"),
    Release("1.1.4", "0fbeb6180d383a9186d0d6ed954e0042ad9f18e0e8de088b2b419d526927d196"),
    Release("2.0.3", "e1120c228ca2f553b470df4a5fa927ab66258467526069981b3eb0a91902687d"),
    Release("2.2.5", "edee9b0a7ff26621bd5a8c10ff484ae28737a2410d99b0bb9a6850c7fb977aa0"),
    Release("2.3.3", "09c347a92aa7ff4a8e7f3206795f30d826654baf38b873d0744cd571ca609efc"),
    Release("3.0.3", "ceb27b0af3823ea2737928a4d99d125a06175b8512c445cbd9a9ce200ef76842"),
    Release("3.1.0", "5f873c5184c897c8d9d1b05df1e3d01b14910ce69607a117bd3277098a5836ac"),
)


class FetchError(Exception):
    """A source package cannot be had; the message is one line for a person."""


def fetch(release: Release) -> Path:
    """The source package, from the cache or else by pip. Raises FetchError."""
    kept = _cache_folder() / f"flask-{release.version}.tar.gz"
    if not _is_whole(kept, release):
        _download(release, kept)
    return kept


def unpack_docs(package: Path, folder: Path) -> Path:
    """Write the package's .rst pages below `docs/` into `folder`, and give that back."""
    with tarfile.open(package) as archive:
        for member in archive:
            page = _page_of(member)
            source = archive.extractfile(member) if page else None
            if page and source:
                target = folder / page
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
    return folder


def _page_of(member: tarfile.TarInfo) -> PurePosixPath | None:
    """The path below `docs/` of a page. A path that climbs out is none."""
    path = PurePosixPath(member.name)
    if not member.isfile() or path.suffix != ".rst" or path.parts[1:2] != ("docs",) or ".." in path.parts:
        return None
    return PurePosixPath(*path.parts[2:])


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agent-state-ledger" / "flask-docs"


def _is_whole(package: Path, release: Release) -> bool:
    return package.is_file() and hashlib.sha256(package.read_bytes()).hexdigest() == release.sha256


def _download(release: Release, kept: Path) -> None:
    """Into a folder of our own, then renamed: the cache never holds half a file, whoever else downloads."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _run_pip(release, folder)
            package = next(Path(folder).glob("*.tar.gz"), None)
            if package is None or not _is_whole(package, release):
                raise FetchError(f"pip brought another package than Flask {release.version} was when this was written")
            package.replace(kept)
    except OSError as error:
        raise FetchError(f"cannot keep Flask {release.version} in {kept.parent}: {error.strerror or error}") from error


def _run_pip(release: Release, folder: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-deps",
    ]
    command += [
        "--no-binary",
        ":all:",
        "--retries",
        str(RETRIES),
        "--timeout",
        str(SOCKET_TIMEOUT_S),
        "--dest",
        folder,
    ]
    try:
        done = subprocess.run(
            [*command, f"Flask=={release.version}"],
            capture_output=True,
            text=True,
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise FetchError(_no_way(release, f"no answer within {PIP_TIMEOUT_S} s")) from error
    if done.returncode:
        raise FetchError(_no_way(release, _last_line(done.stderr)))


def _no_way(release: Release, why: str) -> str:
    return f"cannot fetch the documentation of Flask {release.version} (pip: {why}); is there a network?"


def _last_line(stderr: str) -> str:
    return next(_told(stderr), "no reason given")


def _told(stderr: str) -> Iterator[str]:
    """pip's own last word without its prefix; warnings of retries come before it."""
    for line in reversed(stderr.strip().splitlines()):
        if line.strip():
            yield re.sub(r"^ERROR:\s*", "", line.strip()).rstrip(".")
