-- Rows: one: the least event after $1 that a table names, or NULL. $1: event
-- Lock: none.
-- Safe: reads one entry of each primary key.
SELECT least((SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT 1),
             (SELECT event_id FROM allocations WHERE event_id > $1 ORDER BY event_id LIMIT 1),
             (SELECT event_id FROM reservations WHERE event_id > $1 ORDER BY event_id LIMIT 1),
             (SELECT event_id FROM journal_chunks WHERE event_id > $1 ORDER BY event_id LIMIT 1));
