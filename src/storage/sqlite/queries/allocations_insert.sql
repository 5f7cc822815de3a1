-- Rows: one for each new allocation.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses one that exists; the table's CHECK refuses one that is oversold.
INSERT INTO allocations (event_id, id, display_name, capacity, drain_to, held, sold, limit_per_owner, version)
SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8
  FROM jsonb_each(?);
