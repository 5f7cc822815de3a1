-- Rows: one, a JSON array with an array for each of up to $2 expired holds of each wanted event, in no order.
-- $1: JSON, [[index, "event", now, after expires_at, after id], …]
-- Lock: runs under the write lock.
-- Safe: the inner query walks the index of holds by expiry from the given time on, and puts those of the same time in order; the
-- outer one reads by key.
SELECT json_group_array(json_array(
           w.value ->> 0, r.id, r.owner, r.state, r.lines, r.requested, r.cancelled, r.expires_at, r.created_at,
           r.updated_at, r.fingerprint, r.order_ref))
  FROM json_each($1) AS w
 CROSS JOIN reservations AS r ON r.rowid IN (
           SELECT h.rowid FROM reservations AS h
            WHERE h.event_id = w.value ->> 1 AND h.state = 'HELD' AND h.expires_at <= w.value ->> 2
              AND h.expires_at >= w.value ->> 3 AND (h.expires_at, h.id) > (w.value ->> 3, w.value ->> 4)
            ORDER BY h.expires_at, h.id LIMIT $2);
