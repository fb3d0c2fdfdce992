// The node of a ledger before its first append, in the same transaction as that. Of two first appends at once the second
// waits here for the first, and then finds its head moved: MERGE locks the name in the constraint's index.
// $ledger   name
// $genesis  hash before the first entry, in hex
// uses constraint ledger_name
MERGE (l:Ledger {name: $ledger})
ON CREATE SET l.head = 0, l.hash = $genesis
