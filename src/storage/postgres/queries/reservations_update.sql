-- Rows: one for each changed reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: meets a reservation only in the state, and as last changed, that the decision was made from.
UPDATE reservations AS r
   SET state = c.state, lines = c.lines, requested = c.requested, cancelled = c.cancelled, expires_at = c.expires_at,
       updated_at = c.updated_at, order_ref = c.order_ref
  FROM unnest($2::uuid[], $3::text[], $4::json[], $5::json[], $6::json[], $7::bigint[], $8::bigint[], $9::text[],
              $10::text[], $11::bigint[])
       AS c (id, state, lines, requested, cancelled, expires_at, updated_at, order_ref, old_state, old_updated_at)
 WHERE r.event_id = $1 AND r.id = c.id AND r.state = c.old_state AND r.updated_at = c.old_updated_at;
