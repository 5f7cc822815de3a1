-- Rows: one at most. The lane writes several at once: the values of one row, in parentheses, end the statement.
-- Lock: runs under the write lock.
-- Safe: a run that was interrupted is written again from the same journal rows, so what is there already is right.
INSERT OR IGNORE INTO owner_index (event_id, run, owner, seq) VALUES (?, ?, ?, ?);
