// The last entry of a ledger; no row if it does not exist.
// $ledger  name
// -> envelope, hash (both null while a commit shows the ledger's node already, its entries not yet)
// uses constraints ledger_name, ledger_entry_seq
//
// The hash is read from the entry, which never changes: on the ledger's node, whose properties a commit does not change at
// once, 7 of 3,800 looks beside a busy writer saw the number of one head with the hash of another.
MATCH (l:Ledger {name: $ledger})
OPTIONAL MATCH (n:Entry {ledger: $ledger, seq: l.head})
RETURN n.envelope AS envelope, n.hash AS hash
