// The right to write states, taken or kept; no row if another holds it. By the server's clock, which all holders share.
// $ledger  name        $holder  who asks        $lease_ms  for how long
// -> state_seq, the entry that states are written up to
// uses constraint ledger_name
//
// The lock is there to be taken: append.cypher says how.
MATCH (l:Ledger {name: $ledger})
SET l.lock = true REMOVE l.lock
WITH l
WHERE l.lease_holder = $holder OR coalesce(l.lease_until_ms, 0) <= timestamp()
SET l.lease_holder = $holder, l.lease_until_ms = timestamp() + $lease_ms
RETURN coalesce(l.state_seq, 0) AS state_seq
