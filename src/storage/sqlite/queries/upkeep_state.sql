-- Rows: one, where the event exists.
-- Lock: none.
-- Safe: only upkeep moves owner_indexed_seq, and there is one lane.
SELECT last_seq, owner_indexed_seq FROM events WHERE id = ?;
