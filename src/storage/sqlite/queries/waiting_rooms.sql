-- Rows: one for each event that has a waiting room and may sell yet, in order of ids, at most ?.
-- Lock: none: one statement sees one state.
-- Safe: reads the partial index of these events, which are few.
SELECT e.id, e.waiting_room_rate, e.waiting_room_inside_max, e.waiting_room_on_loss, e.waiting_room_pass_lifetime,
       e.waiting_room_grace
  FROM events AS e INDEXED BY events_with_waiting_room
 WHERE e.waiting_room_rate IS NOT NULL AND e.sales_state NOT IN ('CLOSED', 'CANCELLED')
 ORDER BY e.id LIMIT ?;
