// Entries of a stretch of the log, in order, as one row of lists.
// $ledger   name
// $after    last seq not wanted       $upto  last seq wanted
// $content  whether contents are wanted
// $whole    longest content, in characters, that is sent at once: of a longer one comes its length
// -> envelopes, hashes, contents (text, length, or '' where there is none or none is wanted)
// uses constraint ledger_entry_seq
MATCH (n:Entry {ledger: $ledger})
WHERE n.seq > $after AND n.seq <= $upto
WITH n, CASE WHEN $content THEN n.content END AS content
ORDER BY n.seq
RETURN
  collect(n.envelope) AS envelopes,
  collect(n.hash) AS hashes,
  collect(CASE
    WHEN content IS NULL THEN ''
    WHEN size(content) <= $whole THEN content
    ELSE size(content)
  END) AS contents
