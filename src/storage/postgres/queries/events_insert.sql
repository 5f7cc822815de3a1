-- Rows: one: a new event. $1: event
-- Lock: the new row; another transaction that creates the same event waits for this one.
-- Safe: the primary key refuses one that exists.
INSERT INTO events (id, display_name, sales_state, on_sale_at, off_sale_at, hold_ttl_default, hold_ttl_max,
                    limit_per_owner, last_seq, version, allocation_count, has_allocation_limits, created_at,
                    waiting_room_rate, waiting_room_inside_max, waiting_room_on_loss, waiting_room_pass_lifetime,
                    waiting_room_grace)
SELECT $1, c.*
  FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
              $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[],
              $14::bigint[], $15::bigint[], $16::text[], $17::bigint[], $18::bigint[]) AS c;
