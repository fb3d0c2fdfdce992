// The last entry of a ledger; no row if it does not exist.
// $ledger  name
// -> envelope, hash (both null for the moment in which a commit shows the ledger's node but not yet the entry's)
// uses constraints ledger_name, ledger_entry_seq
MATCH (l:Ledger {name: $ledger})
OPTIONAL MATCH (n:Entry {ledger: $ledger, seq: l.head})
RETURN n.envelope AS envelope, n.hash AS hash
