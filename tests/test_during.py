"""Law 9 under load: 50 checkers over HTTP while 100,000 entries fall, and rise again."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.during import Fall, fill, watched
from ledger import Ledger
from tests.serving import process
from tests.terminal import Terminal

SIZE = 100_000


def test_no_check_is_wrong_while_very_many_fall(tmp_path: Path) -> None:
    """
    50 ask all the while; the root of what they ask for is revoked
        -> all are fresh before, all stale behind it, and nobody is told that it is fresh once it was stale
    """
    with Ledger.open(Terminal(tmp_path).store) as ledger:
        fill(ledger, SIZE)

    def seen(command: dict[str, str]) -> Fall:
        return asyncio.run(watched(port, SIZE, command))

    with process(tmp_path) as service:
        port = int(service.ready().rpartition(":")[2])
        seen({"op": "revoke", "target": "root"}).check("fresh", "stale")
        seen({"op": "reinstate", "target": "root"}).check("stale", "fresh")
