// Single entries by number, as one row of lists; numbers that do not exist are left out.
// $ledger   name
// $seqs     the numbers, each once
// $content  whether contents are wanted
// $whole    longest content, in characters, that is sent at once: of a longer one comes its length
// -> envelopes, hashes, contents (text, length, or '' where there is none or none is wanted)
// uses constraint ledger_entry_seq
UNWIND $seqs AS seq
MATCH (n:Entry {ledger: $ledger, seq: seq})
WITH n, CASE WHEN $content THEN n.content END AS content
RETURN
  collect(n.envelope) AS envelopes,
  collect(n.hash) AS hashes,
  collect(CASE
    WHEN content IS NULL THEN ''
    WHEN size(content) <= $whole THEN content
    ELSE size(content)
  END) AS contents
