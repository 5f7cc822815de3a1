-- Rows: one. ?: event
-- Lock: none.
-- Safe: counts along the primary key.
SELECT count(*) FROM reservations WHERE event_id = ?;
