-- Rows: one. ?: to seq, event, the seq before the run
-- Lock: runs under the write lock.
-- Safe: in one transaction with the run's last rows, so that each journal row is looked up in exactly one place.
UPDATE events SET owner_indexed_seq = ? WHERE id = ? AND owner_indexed_seq = ?;
