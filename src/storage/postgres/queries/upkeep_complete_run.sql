-- Rows: one. $1: event, $2: run, $3: to seq
-- Lock: none.
-- Safe: in one transaction with the run's rows.
INSERT INTO owner_runs (event_id, run, to_seq) VALUES ($1, $2, $3);
