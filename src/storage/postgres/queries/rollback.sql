-- Rows: none.
-- Lock: lets go of the events.
-- Safe: undoes all that the transaction wrote.
ROLLBACK;
