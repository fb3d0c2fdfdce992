// The migrations that were applied here.
// -> numbers, names, checksums
// uses constraint ledger_migration_number
MATCH (m:LedgerMigration)
WHERE m.number > 0
RETURN collect(m.number) AS numbers, collect(m.name) AS names, collect(m.checksum) AS checksums
