-- Rows: one for each named reservation that exists. $1: event, $2: reservations, an array as text
-- Lock: none: one statement sees one state.
-- Safe: reads by primary key. (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT r.id::text, r.owner, r.state, r.lines::text, r.requested::text, r.cancelled::text, r.expires_at, r.created_at,
       r.updated_at, r.fingerprint, r.order_ref
  FROM unnest($2::text::uuid[]) AS w (id)
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = w.id OFFSET 0) AS r;
