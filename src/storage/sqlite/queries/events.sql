-- Rows: as event.sql, for each of up to $3 events after $1, in order of ids. $2: now
-- Lock: none: one statement sees one state.
-- Safe: holds that have expired are found through the index of holds by expiry, and taken off.
WITH page AS MATERIALIZED (
    SELECT * FROM events WHERE id > $1 ORDER BY id LIMIT $3),
expired (event_id, allocation_id, units) AS MATERIALIZED (
    SELECT p.id, l.key, sum(l.value)
      FROM page AS p
     CROSS JOIN reservations AS r ON r.event_id = p.id AND r.state = 'HELD' AND r.expires_at <= $2
     CROSS JOIN json_each(r.lines) AS l
     GROUP BY p.id, l.key)
SELECT p.id, p.display_name, p.sales_state, p.on_sale_at, p.off_sale_at, p.hold_ttl_default, p.hold_ttl_max,
       p.limit_per_owner, p.last_seq, p.version, p.allocation_count, p.has_allocation_limits, p.created_at,
       p.waiting_room_rate, p.waiting_room_inside_max,
       p.waiting_room_on_loss, p.waiting_room_pass_lifetime, p.waiting_room_grace,
       a.id, a.display_name, a.capacity, a.drain_to, a.held - coalesce(x.units, 0), a.sold, a.limit_per_owner, a.version
  FROM page AS p
  LEFT JOIN allocations AS a ON a.event_id = p.id
  LEFT JOIN expired AS x ON x.event_id = p.id AND x.allocation_id = a.id
 ORDER BY p.id, a.id;
