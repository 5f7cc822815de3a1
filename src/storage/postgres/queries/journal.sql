-- Rows: the chunks with entries from a number on, in order, up to the one that ends at another. $1: event, $2: from seq, $3: last
-- seq of a chunk
-- Lock: none.
-- Safe: walks the primary key.
SELECT entries::text FROM journal_chunks WHERE event_id = $1 AND last_seq >= $2 AND last_seq <= $3 ORDER BY last_seq;
