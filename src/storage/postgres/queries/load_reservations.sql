-- Rows: one for each wanted reservation that exists. $1: event, $2: reservations, each once
-- Lock: runs under the event's lock.
-- Safe: reads by primary key. An id beyond the event's greatest one is new: so ids in the order of time, as version 7 UUIDs
-- are, cost one seek together. (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT r.id::text, r.owner, r.state, r.lines::text, r.requested::text, r.cancelled::text, r.expires_at, r.created_at,
       r.updated_at, r.fingerprint, r.order_ref
  FROM unnest($2::uuid[]) AS w (id)
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = w.id OFFSET 0) AS r
 WHERE w.id <= (SELECT g.id FROM reservations AS g WHERE g.event_id = $1 ORDER BY g.id DESC LIMIT 1);
