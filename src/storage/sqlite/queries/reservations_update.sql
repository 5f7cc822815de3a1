-- Rows: one: a changed reservation. ?10: the state that it had, ?11: when that was changed
-- Lock: runs under the write lock.
-- Safe: meets a reservation only in the state, and as last changed, that the decision was made from.
UPDATE reservations
   SET state = ?3, lines = ?4, requested = ?5, cancelled = ?6, expires_at = ?7, updated_at = ?8, order_ref = ?9
 WHERE event_id = ?1 AND id = ?2 AND state = ?10 AND updated_at = ?11;
