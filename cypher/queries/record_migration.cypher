// Remembers that a migration was applied; whoever comes second finds it done.
// $number, $name      from the file's name
// $checksum           sha256 of its text
// $applied_at         RFC 3339
// uses constraint ledger_migration_number
MERGE (m:LedgerMigration {number: $number})
ON CREATE SET m.name = $name, m.checksum = $checksum, m.applied_at = $applied_at
