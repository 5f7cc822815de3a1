-- Rows: one, a JSON array with an array for each wanted reservation that exists. ?: JSON, [[index, "event", "reservation"], …]
-- Lock: runs under the write lock.
-- Safe: reads by primary key.
SELECT json_group_array(json_array(
           w.value ->> 0, r.id, r.owner, r.state, r.lines, r.requested, r.cancelled, r.expires_at, r.created_at,
           r.updated_at, r.fingerprint, r.order_ref))
  FROM json_each(?) AS w
 CROSS JOIN reservations AS r ON r.event_id = w.value ->> 1 AND r.id = w.value ->> 2;
