-- Rows: one for each allocation of the event, in order of ids; one without an allocation where it has none. $1: event
-- Lock: none; the first read of a transaction, which sees this state until it ends.
-- Safe: reads by primary key.
SELECT e.id, e.display_name, e.sales_state, e.on_sale_at, e.off_sale_at, e.hold_ttl_default, e.hold_ttl_max,
       e.limit_per_owner, e.last_seq, e.version, e.allocation_count, e.has_allocation_limits, e.created_at,
       e.waiting_room_rate, e.waiting_room_inside_max,
       e.waiting_room_on_loss, e.waiting_room_pass_lifetime, e.waiting_room_grace,
       a.id, a.display_name, a.capacity, a.drain_to, a.held, a.sold, a.limit_per_owner, a.version, boxoffice_now()
  FROM events AS e
  LEFT JOIN allocations AS a ON a.event_id = e.id AND a.event_id = $1
 WHERE e.id = $1
 ORDER BY a.id;
