-- Rows: one for each reservation that began in the run. $1: event, $2: the run, $3: after seq, $4: to seq, $5: last seq of a chunk
-- Lock: none: nobody reads a run before upkeep_advance.
-- Safe: what is written in the journal never changes; sorted, so that every write appends, whoever the owners are. What another
-- server wrote would be refused: upkeep_claim keeps it from that. (To take entries apart as JSON costs half
-- as much again as it does as JSONB.)
INSERT INTO owner_index (event_id, run, owner, seq)
SELECT $1, $2::bigint, began.owner, began.seq
  FROM (SELECT (own.value ->> 1) COLLATE "C" AS owner, own.key::bigint AS seq
          FROM journal_chunks AS c
         CROSS JOIN LATERAL jsonb_array_elements(c.entries::jsonb) AS g
         CROSS JOIN LATERAL jsonb_each(g.value -> 0) AS own
         WHERE c.event_id = $1 AND c.last_seq > $3 AND c.last_seq <= $5 AND g.value ->> 2 IN ('RESERVED', 'SOLD')) AS began
 WHERE began.seq > $3 AND began.seq <= $4
 ORDER BY began.owner, began.seq;
