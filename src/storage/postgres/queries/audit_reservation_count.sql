-- Rows: one: how many reservations there are after one, up to a number, and the last of these. $1: event, $2: after id (empty: from the
-- first), $3: number
-- Lock: none.
-- Safe: walks the primary key, in bites: all of a large event would take longer than a statement may.
SELECT count(*), max(id::text COLLATE "C")
  FROM (SELECT id FROM reservations
         WHERE event_id = $1 AND id >= coalesce(nullif($2::text, ''), '00000000-0000-0000-0000-000000000000')::uuid
           AND id::text <> $2::text
         ORDER BY id LIMIT $3) AS bite;
