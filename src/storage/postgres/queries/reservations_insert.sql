-- Rows: one for each new reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses an id that was used.
-- (An array of one is what all rows have: to read each value a thousand times costs more than to write it.)
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT $1, c.id,
       CASE cardinality(a.owner) WHEN 1 THEN a.owner[1] ELSE c.owner END,
       CASE cardinality(a.state) WHEN 1 THEN a.state[1] ELSE c.state END,
       CASE cardinality(a.lines) WHEN 1 THEN a.lines[1] ELSE c.lines END,
       CASE cardinality(a.expires_at) WHEN 1 THEN a.expires_at[1] ELSE c.expires_at END,
       CASE cardinality(a.created_at) WHEN 1 THEN a.created_at[1] ELSE c.created_at END,
       CASE cardinality(a.updated_at) WHEN 1 THEN a.updated_at[1] ELSE c.updated_at END,
       CASE cardinality(a.fingerprint) WHEN 1 THEN a.fingerprint[1] ELSE c.fingerprint END,
       CASE cardinality(a.order_ref) WHEN 1 THEN a.order_ref[1] ELSE c.order_ref END,
       CASE cardinality(a.requested) WHEN 1 THEN a.requested[1] ELSE c.requested END,
       CASE cardinality(a.cancelled) WHEN 1 THEN a.cancelled[1] ELSE c.cancelled END
  FROM (SELECT $2::uuid[] AS id, $3::text[] AS owner, $4::text[] AS state, $5::json[] AS lines, $6::bigint[] AS expires_at,
               $7::bigint[] AS created_at, $8::bigint[] AS updated_at, $9::bigint[] AS fingerprint, $10::text[] AS order_ref,
               $11::json[] AS requested, $12::json[] AS cancelled) AS a
 CROSS JOIN LATERAL unnest(a.id, a.owner, a.state, a.lines, a.expires_at, a.created_at, a.updated_at, a.fingerprint, a.order_ref,
                           a.requested, a.cancelled)
       AS c (id, owner, state, lines, expires_at, created_at, updated_at, fingerprint, order_ref, requested, cancelled);
