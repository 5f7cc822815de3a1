-- Rows: one: an event that changes while its settings stay. ?2: old last_seq, ?3: new last_seq
-- Lock: runs under the write lock.
-- Safe: meets an event only at the last_seq and version that the decision was made from.
UPDATE events SET last_seq = ?3 WHERE id = ?1 AND last_seq = ?2 AND version = ?4;
