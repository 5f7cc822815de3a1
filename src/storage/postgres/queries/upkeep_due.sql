-- Rows: events with at least $1 journal rows behind the owner index. Runs once, when the store is opened.
-- Lock: none.
-- Safe: a hint; upkeep looks again.
SELECT id FROM events WHERE last_seq - owner_indexed_seq >= $1;
