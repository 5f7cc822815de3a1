-- Rows: one for each allocation of the event, in order of ids; one without an allocation where it has none. $1: event
-- Lock: none: one statement sees one state.
-- Safe: holds that have expired are found through the index of holds by expiry, and taken off. The clock is read once.
WITH clock (now) AS MATERIALIZED (SELECT boxoffice_now()),
expired (allocation_id, units) AS MATERIALIZED (
    SELECT l.key, sum(l.value::bigint)::bigint
      FROM clock
     CROSS JOIN LATERAL (
           SELECT f.lines FROM reservations AS f
            WHERE f.event_id = $1 AND f.state = 'HELD' AND f.expires_at <= clock.now OFFSET 0) AS r
     CROSS JOIN LATERAL json_each_text(r.lines) AS l
     GROUP BY l.key)
SELECT e.id, e.display_name, e.sales_state, e.on_sale_at, e.off_sale_at, e.hold_ttl_default, e.hold_ttl_max,
       e.limit_per_owner, e.last_seq, e.version, e.allocation_count, e.has_allocation_limits, e.created_at,
       e.waiting_room_rate, e.waiting_room_inside_max,
       e.waiting_room_on_loss, e.waiting_room_pass_lifetime, e.waiting_room_grace,
       a.id, a.display_name, a.capacity, a.drain_to, a.held - coalesce(x.units, 0), a.sold, a.limit_per_owner, a.version,
       (SELECT now FROM clock)
  FROM events AS e
  LEFT JOIN allocations AS a ON a.event_id = e.id AND a.event_id = $1
  LEFT JOIN expired AS x ON x.allocation_id = a.id
 WHERE e.id = $1
 ORDER BY a.id;
