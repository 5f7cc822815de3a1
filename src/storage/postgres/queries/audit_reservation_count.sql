-- Rows: one. $1: event
-- Lock: none.
-- Safe: walks the primary key.
SELECT count(*) FROM reservations WHERE event_id = $1;
