-- Rows: one, where the event exists, with the earliest expiry of its holds. $1: event
-- Lock: runs under the event's lock.
-- Safe: reads by primary key; the earliest expiry is one seek.
SELECT e.id, e.display_name, e.sales_state, e.on_sale_at, e.off_sale_at, e.hold_ttl_default, e.hold_ttl_max,
       e.limit_per_owner, e.last_seq, e.version, e.allocation_count, e.has_allocation_limits, e.created_at,
       (SELECT h.expires_at FROM reservations AS h WHERE h.event_id = $1 AND h.state = 'HELD'
         ORDER BY h.expires_at LIMIT 1)
  FROM events AS e WHERE e.id = $1;
