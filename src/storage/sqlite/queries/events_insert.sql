-- Rows: one: a new event.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses one that exists.
INSERT INTO events (id, display_name, sales_state, on_sale_at, off_sale_at, hold_ttl_default, hold_ttl_max,
                    limit_per_owner, last_seq, version, allocation_count, has_allocation_limits, created_at,
                    waiting_room_rate, waiting_room_inside_max, waiting_room_on_loss, waiting_room_pass_lifetime,
                    waiting_room_grace)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18);
