-- Rows: one at most. ?1: event, ?2: run, ?3: owner, ?4: seq
-- Lock: runs under the write lock.
-- Safe: a run that was interrupted is written again from the same journal rows, so what is there already is right.
INSERT OR IGNORE INTO owner_index (event_id, run, owner, seq) VALUES (?1, ?2, ?3, ?4);
