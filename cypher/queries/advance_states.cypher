// Remembers how far states are written, never going back; no row if another holds the lease by now.
// $ledger  name        $holder  who wrote        $upto  seq of the entry they are written up to
// -> state_seq
// uses constraint ledger_name
//
// The lock is there to be taken: append.cypher says how.
MATCH (l:Ledger {name: $ledger})
SET l.lock = true REMOVE l.lock
WITH l
WHERE l.lease_holder = $holder
SET l.state_seq = CASE WHEN l.state_seq > $upto THEN l.state_seq ELSE $upto END
RETURN l.state_seq AS state_seq
