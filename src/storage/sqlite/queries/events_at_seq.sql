-- Rows: one: how many of the events are at the last_seq that is remembered. ?: JSON, [["event", last_seq], …]
-- Lock: none needed: it is one statement.
-- Safe: reads by primary key; an event's state changes only together with its last_seq.
SELECT count(*) FROM json_each(?) AS w CROSS JOIN events AS e ON e.id = w.value ->> 0
 WHERE e.last_seq = w.value ->> 1;
