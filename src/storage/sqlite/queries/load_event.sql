-- Rows: one, where the event exists. ?1: event
-- Lock: runs under the write lock.
-- Safe: reads by primary key; the earliest expiry and the greatest reservation id are one seek each.
SELECT e.id, e.display_name, e.sales_state, e.on_sale_at, e.off_sale_at, e.hold_ttl_default, e.hold_ttl_max,
       e.limit_per_owner, e.last_seq, e.version, e.allocation_count, e.has_allocation_limits, e.created_at,
       e.waiting_room_rate, e.waiting_room_inside_max, e.waiting_room_on_loss, e.waiting_room_pass_lifetime,
       e.waiting_room_grace,
       e.owner_indexed_seq,
       (SELECT h.expires_at FROM reservations AS h WHERE h.event_id = e.id AND h.state = 'HELD'
         ORDER BY h.expires_at LIMIT 1),
       (SELECT r.id FROM reservations AS r WHERE r.event_id = e.id ORDER BY r.id DESC LIMIT 1)
  FROM events AS e WHERE e.id = ?1;
