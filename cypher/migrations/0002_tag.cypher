// Tags: names of revisions, each once in a ledger.

CREATE CONSTRAINT ledger_tag_name IF NOT EXISTS
FOR (t:Tag) REQUIRE (t.ledger, t.name) IS UNIQUE;
