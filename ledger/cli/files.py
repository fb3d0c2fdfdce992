"""Files: lines are read as they are needed, and no file is ever left half written."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import select
import signal
import stat
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from ledger.errors import FileTrouble, Interrupted, Malformed, TooLarge

LINE_BYTES_MAX = 64 << 20
"""As in the interchange; longer ones are not even read to their end."""

_GZIP = b"\x1f\x8b"
_UTF8_MARK = b"\xef\xbb\xbf"
_LOOK_S = 0.2


class Source:
    """Lines of a file, or of standard input (`-`); gzip is noticed by its first bytes.

    `number` is the line given last, `stop` makes the next one an Interrupted.
    """

    def __init__(self, path: str) -> None:
        self.name = "standard input" if path == "-" else repr(path)
        self.number = 0
        self.seems_cut = False
        self._stopped = threading.Event()
        with self._translated():
            self._raw = self._standard_input() if path == "-" else io.FileIO(path)
            buffered = io.BufferedReader(self._raw)
            is_gzip = buffered.peek(2)[:2] == _GZIP
            self._stream = gzip.GzipFile(fileobj=buffered) if is_gzip else buffered

    @property
    def size_bytes(self) -> int | None:
        """Of the file; None where the end is not known."""
        with contextlib.suppress(OSError, ValueError):
            found = os.fstat(self._raw.fileno())
            return found.st_size if stat.S_ISREG(found.st_mode) else None
        return None

    @property
    def position_bytes(self) -> int:
        """How much of the file was read."""
        return self._raw.tell()

    def stop(self) -> None:
        self._stopped.set()

    def __iter__(self) -> Iterator[bytes]:
        while line := self._next():
            self.number += 1
            self.seems_cut = line[:1] == b"{" and not line.rstrip(b" \t\r").endswith((b"\n", b"}"))
            yield line.removeprefix(_UTF8_MARK) if self.number == 1 else line

    def _next(self) -> bytes:
        if self._stopped.is_set():
            raise Interrupted("interrupted")
        with self._translated():
            return self._stream.readline(LINE_BYTES_MAX + 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    @contextlib.contextmanager
    def stopped_by_interrupt(self) -> Iterator[None]:
        """Ctrl-C stops the reading, not what is done with what was read; a second one stops everything."""
        main = threading.current_thread() is threading.main_thread()
        if not main or signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
            yield
            return

        def stop(*_: object) -> None:
            self.stop()
            signal.signal(signal.SIGINT, before)

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _standard_input(self) -> io.RawIOBase:
        try:
            number = _stdin().fileno()
        except io.UnsupportedOperation:
            return _stdin()  # type: ignore[return-value]  # none of the system's: a test's
        if stat.S_ISREG(os.fstat(number).st_mode) or os.name == "nt":
            return io.FileIO(number, closefd=False)
        return _Patient(number, self._stopped)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Malformed(f"{self.name} is not whole: {error}", line=self.number + 1) from error
        except OSError as error:
            raise FileTrouble(f"cannot read {self.name}: {error.strerror or error}") from error
        except ValueError as error:  # a name with a NUL in it
            raise FileTrouble(f"cannot read {self.name}: {error}") from error


class _Patient(io.RawIOBase):
    """A pipe or terminal, waited for without missing a stop: Ctrl-C ends no `read` in another thread."""

    def __init__(self, number: int, stopped: threading.Event) -> None:
        self._number = number
        self._stopped = stopped

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not select.select([self._number], [], [], _LOOK_S)[0]:
            if self._stopped.is_set():
                raise Interrupted("interrupted")
        found = os.read(self._number, len(buffer))
        buffer[: len(found)] = found
        return len(found)


def _stdin() -> IO[bytes]:
    if sys.stdin is None:
        raise FileTrouble("cannot read standard input: it is closed")
    return sys.stdin.buffer


def read_whole(path: str) -> bytes:
    """A file or standard input (`-`) that is not larger than one line may be."""
    try:
        with contextlib.ExitStack() as stack:
            stream = _stdin() if path == "-" else stack.enter_context(open(path, "rb"))
            text = stream.read(LINE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise FileTrouble(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}") from error
    if len(text) > LINE_BYTES_MAX:
        raise TooLarge(f"{path!r} is larger than {LINE_BYTES_MAX:,} bytes")
    return text


@contextlib.contextmanager
def target(path: str) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Where to write: standard output (`-`), or a file that appears when all is written, and not before.

    A name that ends in .gz is compressed.
    """
    if path == "-":
        yield sys.stdout.buffer
        return
    try:
        with _file(Path(path)) as stream:
            if not path.endswith(".gz"):
                yield stream
                return
            with gzip.GzipFile(filename="", fileobj=stream, mode="wb", mtime=0) as packed:
                yield packed
    except (OSError, ValueError) as error:
        raise FileTrouble(f"cannot write {path!r}: {getattr(error, 'strerror', None) or error}") from error


@contextlib.contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    if path.exists() and not path.is_file():  # a device, a pipe; a folder raises
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()  # a link goes on pointing where it did
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(number)
        os.chmod(draft, path.stat().st_mode if path.exists() else 0o666 & ~_umask())
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
