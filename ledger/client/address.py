"""Where a service is, and who asks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ledger.addresses import without_password
from ledger.errors import BadAddress, Malformed
from ledger.model.reference import check_ledger

SCHEMES = ("http", "https")


@dataclass(frozen=True, slots=True)
class Place:
    """One ledger of a service. Raises BadAddress, Malformed."""

    address: str
    ledger: str
    api_key: str | None

    def __post_init__(self) -> None:
        check_ledger(self.ledger)
        _check_address(self.address)
        key = self.api_key
        if key is not None and not (key and all("!" <= character <= "~" for character in key)):
            raise Malformed("an API key is ASCII without spaces, so that a header can carry it", field="api_key")

    @property
    def root(self) -> str:
        return self.address.rstrip("/")

    @property
    def on_this_machine(self) -> bool:
        """Whether only this machine is asked: then through no proxy."""
        host = urlsplit(self.address).hostname or ""
        try:
            return host == "localhost" or ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    def url(self, path: str) -> str:
        """As `Request.path` says."""
        return self.root + path if path.startswith("/") else f"{self.root}/v1/ledgers/{self.ledger}/{path}"


def _check_address(address: str) -> None:
    shown = without_password(address)
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddress(f"{shown!r} is no address of a service: {error}") from error
    if parts.username is not None or parts.password is not None:
        raise BadAddress(f"{shown!r}: an address holds no user and no password; give the key as api_key")
    if parts.scheme not in SCHEMES or not host or parts.query or parts.fragment or not address.isprintable():
        raise BadAddress(f"{shown!r} is no address of a service, like http://127.0.0.1:8321")
