-- Rows: one for each chunk. ?: JSON, [["event", last seq, first seq, entries], …]
-- Lock: runs under the write lock.
-- Safe: a trigger refuses a chunk with a number that was used; each event's last_seq moves in the same transaction.
INSERT INTO journal_chunks (event_id, last_seq, first_seq, entries)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3 FROM jsonb_each(?);
