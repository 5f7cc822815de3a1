-- Rows: up to ?5 expired holds, earliest first. ?1: event, ?2: now, ?3 and ?4: after this expiry and id
-- Lock: runs under the write lock.
-- Safe: walks the index of holds by expiry from the given time on, and puts those of the same time in order.
SELECT id, owner, state, lines, requested, cancelled, expires_at, created_at, updated_at, fingerprint, order_ref
  FROM reservations
 WHERE event_id = ?1 AND state = 'HELD' AND expires_at <= ?2 AND expires_at >= ?3 AND (expires_at, id) > (?3, ?4)
 ORDER BY expires_at, id LIMIT ?5;
