-- Rows: one, where the event exists. $1: event
-- Lock: the event's row, until COMMIT or ROLLBACK; several events are locked in the order of their ids.
-- Safe: taken before anything is read, so what a batch reads cannot change until it has written.
SELECT 1::bigint FROM events WHERE id = $1 FOR UPDATE;
