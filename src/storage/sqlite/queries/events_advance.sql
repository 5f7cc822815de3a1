-- Rows: one for each event that changes while its settings stay. ?: JSON, [["event", old last_seq, new last_seq, version], …]
-- Lock: runs under the write lock.
-- Safe: meets an event only at the last_seq and version that the decision was made from.
UPDATE events SET last_seq = c.value ->> 2
  FROM jsonb_each(?) AS c
 WHERE events.id = c.value ->> 0 AND events.last_seq = c.value ->> 1 AND events.version = c.value ->> 3;
