"""The command line: `ledger --help`.

interrupt  what Ctrl-C answers, and whether in JSON
shell      the group of commands; errors, exit codes
options    what commands have in common, and opening the ledger they name
reading    check, why, history, diff, causes, consequences, entries, remediation, status, audit, schema
planning   impact, withdraw
writing    record, revoke, reinstate, verify
tags       tag, tags
transfer   import, export, restore, migrate
serving    serve
filters    options that say which entries are meant
remote     reading and writing a service, where that differs
files      reading lines and writing files without leaving halves
render     how answers look
progress   bars, for people only
"""

from __future__ import annotations

import sys
from typing import NoReturn

from ledger.cli.interrupt import EXIT_INTERRUPTED, interrupted

__all__ = ["main"]


def main() -> NoReturn:
    """Entry point of the `ledger` script. It imports the rest, so that Ctrl-C meanwhile is told as it is later."""
    try:
        from ledger.cli.shell import cli

        cli.main()
    except KeyboardInterrupt:
        sys.stderr.write(interrupted(sys.argv[1:]) + "\n")
        sys.exit(EXIT_INTERRUPTED)
    raise AssertionError("cli.main exits")
