-- Rows: none.
-- Lock: lets go of the write lock.
-- Safe: undoes all that the transaction wrote.
ROLLBACK;
