// States of the records in a stretch of the log, in lists; no row if the ledger does not exist.
// $ledger  name        $after  last seq not wanted        $upto  last seq wanted
// -> head, state_seq, seqs, states, reasons ('' where there is none)
// uses constraints ledger_name, ledger_entry_seq
MATCH (l:Ledger {name: $ledger})
CALL () {
  MATCH (n:Entry {ledger: $ledger})
  WHERE n.seq > $after AND n.seq <= $upto AND n.version IS NOT NULL
  RETURN
    collect(n.seq) AS seqs,
    collect(coalesce(n.state, '')) AS states,
    collect(coalesce(n.reason, '')) AS reasons
}
RETURN l.head AS head, coalesce(l.state_seq, 0) AS state_seq, seqs, states, reasons
