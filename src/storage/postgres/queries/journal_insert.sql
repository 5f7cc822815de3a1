-- Rows: one for each chunk. $1: event
-- Lock: runs under the event's lock.
-- Safe: its numbers are those that the same transaction takes for the event, by moving its last_seq from the one before the first to
-- the last.
INSERT INTO journal_chunks (event_id, last_seq, entries)
SELECT $1, c.*
  FROM unnest($2::bigint[], $3::json[]) AS c;
