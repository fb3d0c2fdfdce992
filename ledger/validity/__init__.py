"""What stands and what has fallen. Pure: entries in, verdicts out; no I/O, and no clock of its own."""
