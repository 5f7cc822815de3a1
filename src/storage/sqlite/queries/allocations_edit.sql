-- Rows: one: an allocation whose settings change. ?4: added to capacity, ?6: to held, ?7: to sold, ?9: new version, ?10: old version
-- Lock: runs under the write lock.
-- Safe: meets an allocation only at the version that the decision was made from, and only where the sums stay in bounds.
UPDATE allocations
   SET display_name = ?3, capacity = capacity + ?4, drain_to = ?5, held = held + ?6, sold = sold + ?7,
       limit_per_owner = ?8, version = ?9
 WHERE event_id = ?1 AND id = ?2 AND version = ?10
   AND held + ?6 >= 0 AND sold + ?7 >= 0 AND held + ?6 + sold + ?7 <= capacity + ?4;
