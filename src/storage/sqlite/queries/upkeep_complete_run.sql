-- Rows: one. ?: event, run, to seq
-- Lock: runs under the write lock.
-- Safe: in one transaction with the run's last rows.
INSERT INTO owner_runs (event_id, run, to_seq) VALUES (?, ?, ?);
