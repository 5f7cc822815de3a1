-- Rows: one for each new reservation, as reservations_insert, where all are alike in most columns. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses an id that was used.
-- (An array of one is what all rows have. Of $4, $6, $7, $8, $11 and $12 each is: to read and to spread them a thousand times costs half
-- as much as to write the rows.)
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT $1, c.id, CASE cardinality($3::text[]) WHEN 1 THEN a.owner ELSE c.owner END, a.state,
       CASE cardinality($5::json[]) WHEN 1 THEN a.lines ELSE c.lines END, a.expires_at, a.created_at, a.updated_at,
       CASE cardinality($9::bigint[]) WHEN 1 THEN a.fingerprint ELSE c.fingerprint END,
       CASE cardinality($10::text[]) WHEN 1 THEN a.order_ref ELSE c.order_ref END, a.requested, a.cancelled
  FROM (SELECT ($3::text[])[1] AS owner, ($4::text[])[1] AS state, ($5::json[])[1] AS lines, ($6::bigint[])[1] AS expires_at,
               ($7::bigint[])[1] AS created_at, ($8::bigint[])[1] AS updated_at, ($9::bigint[])[1] AS fingerprint,
               ($10::text[])[1] AS order_ref, ($11::json[])[1] AS requested, ($12::json[])[1] AS cancelled OFFSET 0) AS a
 CROSS JOIN unnest($2::uuid[], $3::text[], $5::json[], $9::bigint[], $10::text[]) AS c (id, owner, lines, fingerprint, order_ref);
