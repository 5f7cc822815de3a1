-- Rows: one: a new reservation. The lane writes several at once: the values of one row, in parentheses, end the statement.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses an id that was used. Where it does, nothing of the batch stays; without OR ROLLBACK, SQLite would
-- copy each page before it changes it, to undo this one statement.
INSERT OR ROLLBACK INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at,
                                      fingerprint, order_ref, requested, cancelled)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
