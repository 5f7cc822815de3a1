-- Rows: one for each new reservation, as reservations_insert, where all are alike in most columns. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses an id that was used.
-- (An array of one is what all rows have. Of $4, $6, $7, $8, $11 and $12 each is: to read and to spread them a thousand times costs two
-- fifths of what it costs to write the rows. Each parameter stands once, since behind a pooler its value stands in its place.)
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT $1, c.id, CASE cardinality(a.owner) WHEN 1 THEN a.owner[1] ELSE c.owner END, a.state,
       CASE cardinality(a.lines) WHEN 1 THEN a.lines[1] ELSE c.lines END, a.expires_at, a.created_at, a.updated_at,
       CASE cardinality(a.fingerprint) WHEN 1 THEN a.fingerprint[1] ELSE c.fingerprint END,
       CASE cardinality(a.order_ref) WHEN 1 THEN a.order_ref[1] ELSE c.order_ref END, a.requested, a.cancelled
  FROM (SELECT $2::uuid[] AS id, $3::text[] AS owner, ($4::text[])[1] AS state, $5::json[] AS lines, ($6::bigint[])[1] AS expires_at,
               ($7::bigint[])[1] AS created_at, ($8::bigint[])[1] AS updated_at, $9::bigint[] AS fingerprint, $10::text[] AS order_ref,
               ($11::json[])[1] AS requested, ($12::json[])[1] AS cancelled OFFSET 0) AS a
 CROSS JOIN LATERAL unnest(a.id, a.owner, a.lines, a.fingerprint, a.order_ref) AS c (id, owner, lines, fingerprint, order_ref);
