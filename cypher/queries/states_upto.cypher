// How far the states on the nodes of a ledger are written; no row if there is no such ledger.
// $ledger  name
// -> state_seq
// uses constraint ledger_name
MATCH (l:Ledger {name: $ledger})
RETURN coalesce(l.state_seq, 0) AS state_seq
