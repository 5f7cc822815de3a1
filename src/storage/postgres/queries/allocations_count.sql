-- Rows: one for each allocation whose counts change while its settings stay. $1: event
-- Lock: runs under the event's lock.
-- Safe: an atomic conditional update: it meets an allocation only where the sums stay in bounds, whatever was decided.
WITH met AS (
       UPDATE allocations AS a
          SET capacity = a.capacity + c.capacity, drain_to = c.drain_to, held = a.held + c.held, sold = a.sold + c.sold
         FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
              AS c (id, capacity, drain_to, held, sold, version)
        WHERE a.event_id = $1 AND a.id = c.id AND a.version = c.version
          AND a.held + c.held >= 0 AND a.sold + c.sold >= 0
          AND a.held + c.held + a.sold + c.sold <= a.capacity + c.capacity
    RETURNING 1)
SELECT CASE count(*) WHEN $8 THEN $8 ELSE boxoffice_guard($8, count(*)) END FROM met;
