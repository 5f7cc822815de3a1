-- Rows: one for each allocation whose counts change while its settings stay.
-- ?: JSON, [["event", "allocation", + capacity, drain_to, + held, + sold, version], …]
-- Lock: runs under the write lock.
-- Safe: an atomic conditional update: it meets an allocation only where the sums stay in bounds, whatever was decided.
UPDATE allocations
   SET capacity = capacity + (c.value ->> 2), drain_to = c.value ->> 3,
       held = held + (c.value ->> 4), sold = sold + (c.value ->> 5)
  FROM jsonb_each(?) AS c
 WHERE allocations.event_id = c.value ->> 0 AND allocations.id = c.value ->> 1 AND allocations.version = c.value ->> 6
   AND held + (c.value ->> 4) >= 0 AND sold + (c.value ->> 5) >= 0
   AND held + (c.value ->> 4) + sold + (c.value ->> 5) <= capacity + (c.value ->> 2);
