-- Rows: none.
-- Lock: lets go of the events.
-- Safe: returns after the write-ahead log was synced, as synchronous_commit says; after a lock
-- also where nothing was written: what such a batch tells of, another transaction may have committed without a standby.
COMMIT;
