-- Rows: one, where the event exists. $1: event
-- Lock: none.
-- Safe: upkeep_advance meets the event only at the owner_indexed_seq that this told.
SELECT last_seq, owner_indexed_seq FROM events WHERE id = $1;
