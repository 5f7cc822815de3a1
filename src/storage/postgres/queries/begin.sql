-- Rows: none.
-- Lock: none yet.
-- Safe: each statement of the transaction sees what was committed before it began. Whether it may write is the database's to
-- say: an operator who sets default_transaction_read_only means it.
BEGIN ISOLATION LEVEL READ COMMITTED;
