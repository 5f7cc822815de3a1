-- Rows: one, where the event exists. $1: event
-- Lock: the event's row, until COMMIT or ROLLBACK; several events are locked in the order of their ids.
-- Safe: taken before anything else is read, so what a batch reads cannot change until it has written. Whoever waited for the
-- lock gets the row as it is then.
SELECT e.id, e.display_name, e.sales_state, e.on_sale_at, e.off_sale_at, e.hold_ttl_default, e.hold_ttl_max,
       e.limit_per_owner, e.last_seq, e.version, e.allocation_count, e.has_allocation_limits, e.created_at,
       e.waiting_room_rate, e.waiting_room_inside_max,
       e.waiting_room_on_loss, e.waiting_room_pass_lifetime, e.waiting_room_grace
  FROM events AS e WHERE e.id = $1 FOR UPDATE;
