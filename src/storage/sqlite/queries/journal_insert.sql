-- Rows: one for each chunk. ?: JSON, [["event", last seq, first seq, entries], …]
-- Lock: runs under the write lock.
-- Safe: the primary key refuses a chunk that ends where another does; each event's last_seq moves in the same transaction, from the
-- number before the first entry to that of the last.
INSERT INTO journal_chunks (event_id, last_seq, first_seq, entries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?);
