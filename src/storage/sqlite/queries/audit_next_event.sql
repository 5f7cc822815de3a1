-- Rows: one: the least event after ?1 that a table names, or NULL. ?1: event
-- Lock: none.
-- Safe: reads one entry of each primary key.
SELECT min(id)
  FROM (SELECT min(id) AS id FROM events WHERE id > ?1
        UNION ALL SELECT min(event_id) FROM allocations WHERE event_id > ?1
        UNION ALL SELECT min(event_id) FROM reservations WHERE event_id > ?1
        UNION ALL SELECT min(event_id) FROM journal_chunks WHERE event_id > ?1);
