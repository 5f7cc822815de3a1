-- Rows: one: an event whose settings change. $1: event, $13: old last_seq, $14: old version
-- Lock: runs under the event's lock.
-- Safe: meets the event only at the last_seq and version that the decision was made from.
WITH met AS (
       UPDATE events
          SET display_name = c.display_name, sales_state = c.sales_state, on_sale_at = c.on_sale_at,
              off_sale_at = c.off_sale_at, hold_ttl_default = c.hold_ttl_default, hold_ttl_max = c.hold_ttl_max,
              limit_per_owner = c.limit_per_owner, last_seq = c.last_seq, version = c.version,
              allocation_count = c.allocation_count, has_allocation_limits = c.has_allocation_limits
         FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[])
              AS c (display_name, sales_state, on_sale_at, off_sale_at, hold_ttl_default, hold_ttl_max, limit_per_owner,
                    last_seq, version, allocation_count, has_allocation_limits, created_at, old_last_seq, old_version)
        WHERE events.id = $1 AND events.last_seq = c.old_last_seq AND events.version = c.old_version
    RETURNING 1)
SELECT boxoffice_guard($16, count(*)) FROM met;
