-- Rows: one: an allocation whose counts change while its settings stay. ?3: added to capacity, ?5: to held, ?6: to sold
-- Lock: runs under the write lock.
-- Safe: an atomic conditional update: it meets an allocation only where the sums stay in bounds, whatever was decided.
UPDATE allocations SET capacity = capacity + ?3, drain_to = ?4, held = held + ?5, sold = sold + ?6
 WHERE event_id = ?1 AND id = ?2 AND version = ?7
   AND held + ?5 >= 0 AND sold + ?6 >= 0 AND held + ?5 + sold + ?6 <= capacity + ?3;
