-- Rows: one for each event whose settings change.
-- Lock: runs under the write lock.
-- Safe: meets an event only at the last_seq and version that the decision was made from.
UPDATE events
   SET display_name = c.value ->> 1, sales_state = c.value ->> 2, on_sale_at = c.value ->> 3,
       off_sale_at = c.value ->> 4, hold_ttl_default = c.value ->> 5, hold_ttl_max = c.value ->> 6,
       limit_per_owner = c.value ->> 7, last_seq = c.value ->> 8, version = c.value ->> 9,
       allocation_count = c.value ->> 10, has_allocation_limits = c.value ->> 11,
       waiting_room_rate = c.value ->> 13, waiting_room_inside_max = c.value ->> 14,
       waiting_room_on_loss = c.value ->> 15, waiting_room_pass_lifetime = c.value ->> 16,
       waiting_room_grace = c.value ->> 17
  FROM jsonb_each(?) AS c
 WHERE events.id = c.value ->> 0 AND events.last_seq = c.value ->> 18 AND events.version = c.value ->> 19;
