-- Rows: one for each chunk. ?: JSON, [["event", last seq, entries], …]
-- Lock: runs under the write lock.
-- Safe: its numbers are those that the same transaction takes for the event, by moving its last_seq from the one before the first to
-- the last.
INSERT INTO journal_chunks (event_id, last_seq, entries)
SELECT value ->> 0, value ->> 1, value ->> 2 FROM jsonb_each(?);
