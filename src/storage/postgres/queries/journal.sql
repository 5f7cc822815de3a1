-- Rows: up to a number, in order. $1: event, $2: from seq, $3: number
-- Lock: none.
-- Safe: walks the primary key.
SELECT seq, occurred_at, kind, actor, reservation_id::text, owner, changes::text
  FROM journal WHERE event_id = $1 AND seq >= $2 ORDER BY seq LIMIT $3;
