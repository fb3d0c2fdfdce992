// Entries of a stretch of the log, in order, as one row of lists; with contents until these are too much at once.
// $ledger   name
// $after    last seq not wanted       $upto  last seq wanted
// $content  whether contents are wanted
// $most     characters of contents after which no more entries come: their contents are not looked at either
// $whole    longest content, in characters, that is sent at once: of a longer one comes its length
// -> envelopes, hashes, contents (text, length, or '' where there is none or none is wanted)
// uses constraint ledger_entry_seq
MATCH (n:Entry {ledger: $ledger})
WHERE n.seq > $after AND n.seq <= $upto
WITH n
ORDER BY n.seq
WITH collect(n) AS entries
WITH entries, reduce(page = {entries: 0, chars: 0}, n IN CASE WHEN $content THEN entries ELSE [] END |
  CASE
    WHEN page.chars < $most THEN {entries: page.entries + 1, chars: page.chars + coalesce(size(n.content), 0)}
    ELSE page
  END
).entries AS fitting
UNWIND CASE WHEN $content THEN entries[..fitting] ELSE entries END AS n
WITH n, CASE WHEN $content THEN n.content END AS content
RETURN
  collect(n.envelope) AS envelopes,
  collect(n.hash) AS hashes,
  collect(CASE
    WHEN content IS NULL THEN ''
    WHEN size(content) <= $whole THEN content
    ELSE size(content)
  END) AS contents
