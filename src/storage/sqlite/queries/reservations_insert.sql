-- Rows: one for each new reservation.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses an id that was used.
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11
  FROM jsonb_each(?);
