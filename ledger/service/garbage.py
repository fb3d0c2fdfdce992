"""Python's garbage collector, out of the way of work that makes much and no circles."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_within = 0
_collects = False  # whether it did before the first came in


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector rest while many things are made that refer to no other of their kind.

    It would look at them every 700 things, and find nothing: a tenth of an import, and of a start from a long log. Not
    around anything that is awaited: others would do without it as well. Several threads may be within at once.
    """
    global _within, _collects
    with _lock:
        if not _within:
            _collects = gc.isenabled()
            gc.disable()
        _within += 1
    try:
        yield
    finally:
        with _lock:
            _within -= 1
            if not _within and _collects:
                gc.enable()
