-- Rows: one: an event whose settings change. (?13, when it was created, stays.) ?19: old last_seq, ?20: old version
-- Lock: runs under the write lock.
-- Safe: meets an event only at the last_seq and version that the decision was made from.
UPDATE events
   SET display_name = ?2, sales_state = ?3, on_sale_at = ?4, off_sale_at = ?5, hold_ttl_default = ?6, hold_ttl_max = ?7,
       limit_per_owner = ?8, last_seq = ?9, version = ?10, allocation_count = ?11, has_allocation_limits = ?12,
       waiting_room_rate = ?14, waiting_room_inside_max = ?15, waiting_room_on_loss = ?16,
       waiting_room_pass_lifetime = ?17, waiting_room_grace = ?18
 WHERE id = ?1 AND last_seq = ?19 AND version = ?20;
