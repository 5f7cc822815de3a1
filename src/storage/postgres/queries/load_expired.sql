-- Rows: up to $5 expired holds of the event, earliest first. $1: event, $2: now, $3: after expires_at, $4: after id
-- Lock: runs under the event's lock.
-- Safe: walks the index of holds by expiry from the given place on.
SELECT r.id::text, r.owner, r.state, r.lines::text, r.requested::text, r.cancelled::text, r.expires_at, r.created_at,
       r.updated_at, r.fingerprint, r.order_ref
  FROM reservations AS r
 WHERE r.event_id = $1 AND r.state = 'HELD' AND r.expires_at <= $2 AND (r.expires_at, r.id) > ($3, $4::uuid)
 ORDER BY r.expires_at, r.id LIMIT $5;
