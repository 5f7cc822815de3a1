-- Rows: none. Runs once, when the store is opened.
-- Lock: the write lock, for an instant.
-- Safe: a batch looks up by key, always; statistics that somebody had made (ANALYZE) while a table was small would have
-- an UPDATE read all of it. Without any, SQLite takes every table for large.
DROP TABLE IF EXISTS sqlite_stat1;
