// What a ledger needs: entries found by number, ledgers by name, migrations by number.
//
// A migration that was applied anywhere is never edited: the store keeps the checksum of this text. Statements end with a
// semicolon at the end of a line, each runs in a transaction of its own, and each does no harm when it runs twice.

CREATE CONSTRAINT ledger_entry_seq IF NOT EXISTS
FOR (n:Entry) REQUIRE (n.ledger, n.seq) IS UNIQUE;

CREATE CONSTRAINT ledger_name IF NOT EXISTS
FOR (l:Ledger) REQUIRE l.name IS UNIQUE;

CREATE CONSTRAINT ledger_migration_number IF NOT EXISTS
FOR (m:LedgerMigration) REQUIRE m.number IS UNIQUE;

// For people: all versions of a key, everything that is stale.
CREATE INDEX ledger_entry_key IF NOT EXISTS
FOR (n:Entry) ON (n.ledger, n.key);

CREATE INDEX ledger_entry_state IF NOT EXISTS
FOR (n:Entry) ON (n.ledger, n.state);

CALL db.awaitIndex('ledger_entry_key', 300);

CALL db.awaitIndex('ledger_entry_state', 300);
