"""The common base of what is answered."""

from __future__ import annotations

from typing import Any

import msgspec


class Shown(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """An answer; what has its default is left out of its JSON."""

    def as_dict(self) -> dict[str, Any]:
        """The object that `--json` prints and HTTP answers."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
