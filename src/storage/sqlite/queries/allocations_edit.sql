-- Rows: one for each allocation whose settings change.
-- ?: JSON, [["event", "allocation", display_name, + capacity, drain_to, + held, + sold, limit, new version, old version], …]
-- Lock: runs under the write lock.
-- Safe: meets an allocation only at the version that the decision was made from, and only where the sums stay in bounds.
UPDATE allocations
   SET display_name = c.value ->> 2, capacity = capacity + (c.value ->> 3), drain_to = c.value ->> 4,
       held = held + (c.value ->> 5), sold = sold + (c.value ->> 6), limit_per_owner = c.value ->> 7,
       version = c.value ->> 8
  FROM jsonb_each(?) AS c
 WHERE allocations.event_id = c.value ->> 0 AND allocations.id = c.value ->> 1 AND allocations.version = c.value ->> 9
   AND held + (c.value ->> 5) >= 0 AND sold + (c.value ->> 6) >= 0
   AND held + (c.value ->> 5) + sold + (c.value ->> 6) <= capacity + (c.value ->> 3);
