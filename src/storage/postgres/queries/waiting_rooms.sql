-- Rows: one for each event that has a waiting room and may sell yet, in order of ids, at most $1.
-- Lock: none: one statement sees one state.
-- Safe: reads the partial index of these events, which are few.
SELECT e.id, e.waiting_room_rate, e.waiting_room_inside_max, e.waiting_room_on_loss, e.waiting_room_pass_lifetime,
       e.waiting_room_grace
  FROM events AS e
 WHERE e.waiting_room_rate IS NOT NULL AND e.sales_state NOT IN ('CLOSED', 'CANCELLED')
 ORDER BY e.id LIMIT $1;
