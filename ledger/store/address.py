"""Store addresses: from text to a store that is not open yet."""

from __future__ import annotations

import difflib
import os
from urllib.parse import unquote, urlsplit

from ledger.addresses import without_password
from ledger.errors import BadAddress, Malformed
from ledger.store.base import Store

SCHEMES = ("sqlite", "memory", "bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc")


def open_store(address: str) -> Store:
    """The store an address names: `sqlite:///relative.db`, `sqlite:////absolute.db`, `memory:`, `bolt://…`, `neo4j://…`.

    Engines are imported when they are named, so that a look into a file does not wait for a driver. Raises BadAddress.
    """
    shown = without_password(address)
    scheme, separator, rest = address.partition(":")
    if not separator or scheme not in SCHEMES:
        near = difflib.get_close_matches(scheme, SCHEMES, n=1)
        if scheme in ("http", "https"):
            hint = "; a service that runs there is asked by LedgerClient"
        elif near:
            hint = f"; did you mean {near[0]!r}?"
        elif not separator:
            hint = f"; a file is named like sqlite:///{shown}"
        else:
            hint = f"; expected one of {', '.join(SCHEMES)}"
        raise BadAddress(f"{shown!r} is no store address{hint}", store=shown)
    if scheme == "memory":
        if rest.strip("/"):
            raise BadAddress(f"{shown!r}: memory: takes nothing after the colon", store=shown)
        from ledger.store.memory import MemoryStore

        return MemoryStore()
    if scheme == "sqlite":
        from ledger.store.sqlite import BUSY_TIMEOUT_S, SqliteStore

        return SqliteStore(_file_of(shown, rest), busy_timeout_s=_seconds("LEDGER_BUSY_TIMEOUT_S", BUSY_TIMEOUT_S))
    from ledger.store.neo4j import Neo4jStore

    if not urlsplit(address).hostname:
        raise BadAddress(f"{shown!r} names no host, like bolt://127.0.0.1:7687", store=shown)
    user, password = os.environ.get("LEDGER_NEO4J_USER"), os.environ.get("LEDGER_NEO4J_PASSWORD")
    return Neo4jStore(address, user=user, password=password)


def _file_of(shown: str, rest: str) -> str:
    if not rest.startswith("///") or len(rest) == 3:
        raise BadAddress(
            f"{shown!r} names no file: sqlite:///ledger.db (relative) or sqlite:////var/ledger.db (absolute)",
            store=shown,
        )
    name = unquote(rest[3:])
    if not name.isprintable():
        raise BadAddress(f"{shown!r} names a file with unprintable characters", store=shown)
    return name


def _seconds(setting: str, default: float) -> float:
    """A setting from the environment. Raises Malformed."""
    text = os.environ.get(setting) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86_400:
        raise Malformed(f"{setting} is {text!r}; expected seconds, from 0 to 86400", field=setting)
    return seconds
