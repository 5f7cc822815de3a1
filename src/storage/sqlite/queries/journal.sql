-- Rows: up to a number, in order. ?: event, from seq, number
-- Lock: none.
-- Safe: walks the primary key.
SELECT seq, occurred_at, kind, actor, reservation_id, owner, changes
  FROM journal WHERE event_id = ? AND seq >= ? ORDER BY seq LIMIT ?;
