// Entries of a stretch of the log, in order, as one row of lists; without their contents.
// $ledger  name        $after  last seq not wanted        $upto  last seq wanted
// -> envelopes, hashes, last ($after, where there are none)
// uses constraint ledger_entry_seq
MATCH (n:Entry {ledger: $ledger})
WHERE n.seq > $after AND n.seq <= $upto
WITH n
ORDER BY n.seq
RETURN
  collect(n.envelope) AS envelopes,
  collect(n.hash) AS hashes,
  coalesce(max(n.seq), $after) AS last
