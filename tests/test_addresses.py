"""What is shown of an address holds no password."""

from __future__ import annotations

import pytest

from ledger import Ledger
from ledger.addresses import without_password
from ledger.client import LedgerClient
from ledger.errors import LedgerError


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("bolt://ann:secret@host:7687/db", "bolt://host:7687/db"),
        ("bolt://ann:se@cret@host", "bolt://host"),
        ("bolt://ann:se/cret@host", "bolt://host"),
        ("bolt://ann:secret\n@host", "bolt://host"),
        ("neo4j+s://secret@host", "neo4j+s://host"),
        ("http://ann:secret@host/x", "http://host/x"),
        ("bolt:neo4j:s3cr3t@h", "bolt:h"),
        ("bolt:/neo4j:s3cr3t@h", "bolt:/h"),
        ("bolt:///neo4j:s3cr3t@h", "bolt:///h"),
        ("http:u:pw@h", "http:h"),
        ("neo4j:s3cr3t@h", "neo4j:h"),
        ("bolt://host:7687", "bolt://host:7687"),
        ("sqlite:///a@b.db", "sqlite:///a@b.db"),
        ("sqlite:////tmp/x//a@b.db", "sqlite:////tmp/x//a@b.db"),
        ("memory:", "memory:"),
        ("ledger.db", "ledger.db"),
    ],
)
def test_an_address_for_people_to_see(address: str, shown: str) -> None:
    assert without_password(address) == shown


@pytest.mark.parametrize("scheme", ["blot", "sqlite", "bolt", "http", "memory", "x y"])
@pytest.mark.parametrize("secret", ["hunter2", "hun@ter2", "hun/ter2", "ter2:hun", "hun?ter2#"])
@pytest.mark.parametrize("rest", ["@127.0.0.1:1", "@127.0.0.1:99999", "@", "@127.0.0.1:1/a/b", "@127.0.0.1:1?x"])
@pytest.mark.parametrize("slashes", ["://", ":/", ":"])
def test_no_error_repeats_a_password(scheme: str, secret: str, rest: str, slashes: str) -> None:
    address = f"{scheme}{slashes}ann:{secret}{rest}"
    for opened in (lambda: Ledger.open(address), lambda: LedgerClient(address, "main")):
        with pytest.raises(LedgerError) as raised:
            opened()
        assert "ter2" not in str(raised.value.as_dict())
