-- Rows: the chunks with entries from a number on, in order, up to the one that ends at another. ?: event, from seq, last of a chunk
-- Lock: none.
-- Safe: walks the primary key.
SELECT entries FROM journal_chunks WHERE event_id = ? AND last_seq >= ? AND last_seq <= ? ORDER BY last_seq;
