-- Rows: one for each changed reservation.
-- Lock: runs under the write lock.
-- Safe: meets a reservation only in the state, and as last changed, that the decision was made from.
UPDATE reservations
   SET state = c.value ->> 2, lines = c.value ->> 3, requested = c.value ->> 4, cancelled = c.value ->> 5,
       expires_at = c.value ->> 6, updated_at = c.value ->> 7, order_ref = c.value ->> 8
  FROM jsonb_each(?) AS c
 WHERE reservations.event_id = c.value ->> 0 AND reservations.id = c.value ->> 1
   AND reservations.state = c.value ->> 9 AND reservations.updated_at = c.value ->> 10;
