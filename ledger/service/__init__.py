"""The ledger at work: commands are judged by the laws, committed in groups, and taken into the index."""
