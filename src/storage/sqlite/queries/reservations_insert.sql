-- Rows: one: a new reservation.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses an id that was used.
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at,
                          fingerprint, order_ref, requested, cancelled)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);
