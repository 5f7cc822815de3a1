-- Rows: none.
-- Lock: lets go of the events.
-- Safe: returns after the write-ahead log was synced, as synchronous_commit says; where nothing was written, at once.
COMMIT;
