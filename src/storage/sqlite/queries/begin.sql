-- Rows: none.
-- Lock: the database's one write lock, until COMMIT or ROLLBACK.
-- Safe: taken before anything is read, so what a batch reads cannot change until it has written.
BEGIN IMMEDIATE;
