-- Rows: one, where the event exists. $1: event
-- Lock: none.
-- Safe: reads by primary key.
SELECT last_seq FROM events WHERE id = $1;
