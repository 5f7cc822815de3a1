-- Rows: one, where the reservation exists. ?: event, reservation
-- Lock: none.
-- Safe: reads by primary key.
SELECT id, owner, state, lines, requested, cancelled, expires_at, created_at, updated_at, fingerprint, order_ref
  FROM reservations WHERE event_id = ? AND id = ?;
