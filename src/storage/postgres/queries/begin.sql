-- Rows: none.
-- Lock: none yet.
-- Safe: each statement of the transaction sees what was committed before it began.
BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
