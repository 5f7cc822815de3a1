-- Rows: one for each wanted allocation that exists. $1: event, $2: allocations, each once
-- Lock: runs under the event's lock.
-- Safe: reads by primary key. (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT a.id, a.display_name, a.capacity, a.drain_to, a.held, a.sold, a.limit_per_owner, a.version
  FROM unnest($2::text[]) AS w (id)
 CROSS JOIN LATERAL (SELECT * FROM allocations AS f WHERE f.event_id = $1 AND f.id = w.id OFFSET 0) AS a;
