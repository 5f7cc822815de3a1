-- Rows: one: an event whose settings change. $1: event, $19: old last_seq, $20: old version
-- Lock: runs under the event's lock.
-- Safe: meets the event only at the last_seq and version that the decision was made from.
WITH met AS (
       UPDATE events
          SET display_name = c.display_name, sales_state = c.sales_state, on_sale_at = c.on_sale_at,
              off_sale_at = c.off_sale_at, hold_ttl_default = c.hold_ttl_default, hold_ttl_max = c.hold_ttl_max,
              limit_per_owner = c.limit_per_owner, last_seq = c.last_seq, version = c.version,
              allocation_count = c.allocation_count, has_allocation_limits = c.has_allocation_limits,
              waiting_room_rate = c.waiting_room_rate, waiting_room_inside_max = c.waiting_room_inside_max,
              waiting_room_on_loss = c.waiting_room_on_loss,
              waiting_room_pass_lifetime = c.waiting_room_pass_lifetime, waiting_room_grace = c.waiting_room_grace
         FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[],
                     $16::text[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[])
              AS c (display_name, sales_state, on_sale_at, off_sale_at, hold_ttl_default, hold_ttl_max, limit_per_owner,
                    last_seq, version, allocation_count, has_allocation_limits, created_at,
                    waiting_room_rate, waiting_room_inside_max, waiting_room_on_loss, waiting_room_pass_lifetime,
                    waiting_room_grace, old_last_seq, old_version)
        WHERE events.id = $1 AND events.last_seq = c.old_last_seq AND events.version = c.old_version
    RETURNING 1)
SELECT CASE count(*) WHEN $21 THEN $21 ELSE boxoffice_guard($21, count(*)) END FROM met;
