-- Rows: the first journal row of each reservation within a range. ?: event, after seq, to seq
-- Lock: none.
-- Safe: what is written in the journal never changes.
SELECT owner, seq FROM journal
 WHERE event_id = ? AND seq > ? AND seq <= ? AND kind IN ('RESERVED', 'SOLD');
