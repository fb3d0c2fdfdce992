// The tags of a ledger, sorted by name.
// $ledger  name
// -> names, seqs, hashes (hex)
// uses constraint ledger_tag_name
MATCH (t:Tag {ledger: $ledger})
WHERE t.name > ''
WITH t ORDER BY t.name
RETURN collect(t.name) AS names, collect(t.seq) AS seqs, collect(t.hash) AS hashes
