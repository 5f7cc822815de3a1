-- Rows: events with at least ? journal rows behind the owner index. Runs once, when a lane is opened.
-- Lock: none.
-- Safe: a hint; upkeep looks again.
SELECT id FROM events WHERE last_seq - owner_indexed_seq >= ?;
