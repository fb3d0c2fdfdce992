"""Python's garbage collector, out of the way of work that makes much and no circles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector rest while many things are made that refer to no other of their kind.

    It would look at them every 700 things, and find nothing: a tenth of an import, and of a start from a long log. Not
    around anything that is awaited: others would do without it as well.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
