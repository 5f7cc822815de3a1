-- Rows: one, a JSON array with an array for each wanted allocation that exists. ?: JSON, [[index, "event", "allocation"], …]
-- Lock: runs under the write lock.
-- Safe: reads by primary key.
SELECT json_group_array(json_array(
           w.value ->> 0, a.id, a.display_name, a.capacity, a.drain_to, a.held, a.sold, a.limit_per_owner, a.version))
  FROM json_each(?) AS w
 CROSS JOIN allocations AS a ON a.event_id = w.value ->> 1 AND a.id = w.value ->> 2;
