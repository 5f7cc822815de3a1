-- Rows: one for each named reservation that exists. ?: event, ?: JSON, ["reservation", …]
-- Lock: none: one statement sees one state.
-- Safe: reads by primary key.
SELECT r.id, r.owner, r.state, r.lines, r.requested, r.cancelled, r.expires_at, r.created_at, r.updated_at,
       r.fingerprint, r.order_ref
  FROM json_each(?2) AS w
 CROSS JOIN reservations AS r ON r.event_id = ?1 AND r.id = w.value;
