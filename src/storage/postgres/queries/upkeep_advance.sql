-- Rows: one, unless another server was faster. $1: event, $2: to seq, $3: the seq before the run
-- Lock: the event's row, for the rest of this short transaction.
-- Safe: in one transaction with the run, so that each journal row is looked up in exactly one place.
UPDATE events SET owner_indexed_seq = $2 WHERE id = $1 AND owner_indexed_seq = $3;
