-- Rows: any number. ?: event, run, JSON [["owner", seq], …] in order
-- Lock: runs under the write lock.
-- Safe: a run that was interrupted is written again from the same journal rows, so what is there already is right.
INSERT OR IGNORE INTO owner_index (event_id, run, owner, seq)
SELECT ?, ?, value ->> 0, value ->> 1 FROM jsonb_each(?);
