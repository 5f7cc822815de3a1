-- Rows: one for each allocation whose settings change. $1: event
-- Lock: runs under the event's lock.
-- Safe: meets an allocation only at the version that the decision was made from, and only where the sums stay in bounds.
WITH met AS (
       UPDATE allocations AS a
          SET display_name = c.display_name, capacity = a.capacity + c.capacity, drain_to = c.drain_to,
              held = a.held + c.held, sold = a.sold + c.sold, limit_per_owner = c.limit_per_owner, version = c.version
         FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
                     $9::bigint[], $10::bigint[])
              AS c (id, display_name, capacity, drain_to, held, sold, limit_per_owner, version, old_version)
        WHERE a.event_id = $1 AND a.id = c.id AND a.version = c.old_version
          AND a.held + c.held >= 0 AND a.sold + c.sold >= 0
          AND a.held + c.held + a.sold + c.sold <= a.capacity + c.capacity
    RETURNING 1)
SELECT CASE count(*) WHEN $11 THEN $11 ELSE boxoffice_guard($11, count(*)) END FROM met;
