-- Rows: one, where the event exists. ?: event
-- Lock: none.
-- Safe: reads by primary key.
SELECT last_seq FROM events WHERE id = ?;
