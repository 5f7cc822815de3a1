-- Rows: up to a number, in order of ids. ?: event, after id, number
-- Lock: none.
-- Safe: walks the primary key.
SELECT id, owner, state, lines, requested, cancelled, expires_at, created_at, updated_at, fingerprint, order_ref
  FROM reservations WHERE event_id = ? AND id > ? ORDER BY id LIMIT ?;
