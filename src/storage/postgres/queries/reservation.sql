-- Rows: one, where the reservation exists. $1: event, $2: reservation
-- Lock: none.
-- Safe: reads by primary key.
SELECT id::text, owner, state, lines::text, requested::text, cancelled::text, expires_at, created_at, updated_at,
       fingerprint, order_ref
  FROM reservations WHERE event_id = $1 AND id = $2::text::uuid;
