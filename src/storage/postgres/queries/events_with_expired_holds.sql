-- Rows: up to $2 events. $1: now
-- Lock: none.
-- Safe: a hint for the sweeper. Steps from event to event through the index of holds, so that those without are skipped.
-- (The orders are that of this index, so that no other is taken.)
WITH RECURSIVE holding (event_id) AS (
    (SELECT h.event_id FROM reservations AS h WHERE h.state = 'HELD' AND h.event_id > ''
      ORDER BY h.event_id, h.expires_at LIMIT 1)
     UNION ALL
    SELECT (SELECT h.event_id FROM reservations AS h
             WHERE h.state = 'HELD' AND h.event_id > holding.event_id ORDER BY h.event_id, h.expires_at LIMIT 1)
      FROM holding WHERE holding.event_id IS NOT NULL)
SELECT event_id FROM holding
 WHERE event_id IS NOT NULL
   AND (SELECT r.expires_at FROM reservations AS r WHERE r.event_id = holding.event_id AND r.state = 'HELD'
         ORDER BY r.expires_at LIMIT 1) <= $1
 LIMIT $2;
