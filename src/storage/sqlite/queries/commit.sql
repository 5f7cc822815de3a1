-- Rows: none.
-- Lock: lets go of the write lock.
-- Safe: returns after the write-ahead log was synced (synchronous = FULL); where nothing was written, at once.
COMMIT;
