-- Rows: one for each new reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses an id that was used.
-- (An array of one is what all rows have: to read each value a thousand times costs more than to write it.)
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT $1, c.id,
       CASE cardinality($3::text[]) WHEN 1 THEN ($3::text[])[1] ELSE c.owner END,
       CASE cardinality($4::text[]) WHEN 1 THEN ($4::text[])[1] ELSE c.state END,
       CASE cardinality($5::json[]) WHEN 1 THEN ($5::json[])[1] ELSE c.lines END,
       CASE cardinality($6::bigint[]) WHEN 1 THEN ($6::bigint[])[1] ELSE c.expires_at END,
       CASE cardinality($7::bigint[]) WHEN 1 THEN ($7::bigint[])[1] ELSE c.created_at END,
       CASE cardinality($8::bigint[]) WHEN 1 THEN ($8::bigint[])[1] ELSE c.updated_at END,
       CASE cardinality($9::bigint[]) WHEN 1 THEN ($9::bigint[])[1] ELSE c.fingerprint END,
       CASE cardinality($10::text[]) WHEN 1 THEN ($10::text[])[1] ELSE c.order_ref END,
       CASE cardinality($11::json[]) WHEN 1 THEN ($11::json[])[1] ELSE c.requested END,
       CASE cardinality($12::json[]) WHEN 1 THEN ($12::json[])[1] ELSE c.cancelled END
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::json[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
              $10::text[], $11::json[], $12::json[])
       AS c (id, owner, state, lines, expires_at, created_at, updated_at, fingerprint, order_ref, requested, cancelled);
