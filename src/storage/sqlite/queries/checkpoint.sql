-- Rows: one: whether somebody else was at it, pages in the write-ahead log, and how many of them are copied by now.
-- Lock: none that a writer or a reader would wait for.
-- Safe: copies what is committed and synced, and not beyond what the oldest reader sees.
PRAGMA wal_checkpoint(PASSIVE);
