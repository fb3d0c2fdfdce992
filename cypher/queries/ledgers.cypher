// The names of all ledgers, sorted.
// -> names
// uses constraint ledger_name
MATCH (l:Ledger)
WHERE l.name > ''
WITH l.name AS name ORDER BY name
RETURN collect(name) AS names
