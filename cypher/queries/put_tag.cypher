// Gives a revision its name, unless the name is taken; no row if there is no such ledger.
// $ledger  name        $name  of the tag        $seq, $hash (hex)  of the entry that ends the revision
// -> seq, hash (hex) of what has the name already; null if it is this one from now on
// uses constraints ledger_name, ledger_tag_name
//
// Of two who take a name at once the second waits for the first at the ledger's lock, and then finds the tag:
// append.cypher says how the lock is taken.
MATCH (l:Ledger {name: $ledger})
SET l.lock = true REMOVE l.lock
WITH l
OPTIONAL MATCH (taken:Tag {ledger: l.name, name: $name})
WITH taken, taken.seq AS seq, taken.hash AS hash
CALL (taken) {
  WITH taken WHERE taken IS NULL
  CREATE (:Tag {ledger: $ledger, name: $name, seq: $seq, hash: $hash})
}
RETURN seq, hash
