-- Rows: one for each reservation that began in the run. $1: event, $2: the run, $3: after seq, $4: to seq
-- Lock: none: nobody reads a run before upkeep_advance.
-- Safe: what is written in the journal never changes; sorted, so that every write appends, whoever the owners are.
INSERT INTO owner_index (event_id, run, owner, seq)
SELECT $1, $2::bigint, j.owner, j.seq FROM journal AS j
 WHERE j.event_id = $1 AND j.seq > $3 AND j.seq <= $4 AND j.kind IN ('RESERVED', 'SOLD')
 ORDER BY j.owner, j.seq
    ON CONFLICT DO NOTHING;
