-- Rows: one: a chunk.
-- Lock: runs under the write lock.
-- Safe: its numbers are those that the same transaction takes for the event, by moving its last_seq from the one before the first to
-- the last.
INSERT INTO journal_chunks (event_id, last_seq, entries) VALUES (?1, ?2, ?3);
