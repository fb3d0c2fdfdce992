"""The command line: `ledger --help`.

shell     the group of commands; errors, exit codes
options   what commands have in common, and opening the ledger they name
reading   check, why, history, diff, causes, consequences, entries, remediation, status, audit, schema
planning  impact, withdraw
writing   record, revoke, reinstate, verify
tags      tag, tags
transfer  import, export, restore, migrate
serving   serve
filters   options that say which entries are meant
remote    reading and writing a service, where that differs
files     reading lines and writing files without leaving halves
render    how answers look
progress  bars, for people only
"""

from ledger.cli.shell import main

__all__ = ["main"]
