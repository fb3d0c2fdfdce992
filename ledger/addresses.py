"""Addresses of stores and services, as they may be shown."""

from __future__ import annotations

import re


def without_password(address: str) -> str:
    """An address for people to see, and for errors, which may end in a log: all before its last @ is left out.

    Even where the address cannot be read: a password may hold any of `/ @ :` that was not percent-encoded, and the
    slashes before it may have been forgotten. Behind `sqlite:///` comes a path, which is shown as it is.
    """
    return re.sub(r"^(?!sqlite:///)([^/:@]*:/*)?.*@", r"\1", address, flags=re.DOTALL)
