-- Rows: one for each change.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses a number that was used; each event's last_seq moves in the same transaction.
INSERT INTO journal (event_id, seq, occurred_at, kind, changes, reservation_id, owner, actor)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7
  FROM jsonb_each(?);
