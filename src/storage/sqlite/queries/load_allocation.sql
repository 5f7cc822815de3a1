-- Rows: one, where the allocation exists. ?1: event, ?2: allocation
-- Lock: runs under the write lock.
-- Safe: reads by primary key.
SELECT id, display_name, capacity, drain_to, held, sold, limit_per_owner, version
  FROM allocations WHERE event_id = ?1 AND id = ?2;
