-- Rows: one: a new allocation.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses one that exists; the table's CHECK refuses one that is oversold.
INSERT INTO allocations (event_id, id, display_name, capacity, drain_to, held, sold, limit_per_owner, version)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);
