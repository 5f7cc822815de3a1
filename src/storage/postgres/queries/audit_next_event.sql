-- Rows: one: the least event after $1 that a table names, or NULL. $1: event
-- Lock: none.
-- Safe: reads one entry of each primary key. (Where the tables are spread, each machine tells its own: it can do so for what stands
-- after FROM.)
SELECT least(e.id, a.id, r.id, j.id)
  FROM (SELECT min(id) AS id FROM events WHERE id > $1) AS e
 CROSS JOIN (SELECT min(event_id) AS id FROM allocations WHERE event_id > $1) AS a
 CROSS JOIN (SELECT min(event_id) AS id FROM reservations WHERE event_id > $1) AS r
 CROSS JOIN (SELECT min(event_id) AS id FROM journal_chunks WHERE event_id > $1) AS j;
