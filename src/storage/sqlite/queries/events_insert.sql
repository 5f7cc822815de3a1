-- Rows: one for each new event.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses one that exists.
INSERT INTO events (id, display_name, sales_state, on_sale_at, off_sale_at, hold_ttl_default, hold_ttl_max,
                    limit_per_owner, last_seq, version, allocation_count, has_allocation_limits, created_at,
                    waiting_room_rate, waiting_room_inside_max, waiting_room_on_loss, waiting_room_pass_lifetime,
                    waiting_room_grace)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
       value ->> 8, value ->> 9, value ->> 10, value ->> 11, value ->> 12, value ->> 13, value ->> 14,
       value ->> 15, value ->> 16, value ->> 17
  FROM jsonb_each(?);
