-- Rows: up to a number, in order of ids. $1: event, $2: after id (empty: from the first), $3: number
-- Lock: none.
-- Safe: walks the primary key. (The nil UUID is a name like any other, so the first page begins at it.)
SELECT id::text, owner, state, lines::text, requested::text, cancelled::text, expires_at, created_at, updated_at,
       fingerprint, order_ref
  FROM reservations
 WHERE event_id = $1 AND id >= coalesce(nullif($2::text, ''), '00000000-0000-0000-0000-000000000000')::uuid
   AND id::text <> $2::text
 ORDER BY id LIMIT $3;
