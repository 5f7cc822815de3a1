-- Rows: one for each new reservation.
-- ?: JSON, [[{"id": ["owner"], …}, "event", what these have in common …], …]: to take each value out of the JSON costs as much as
-- to write it into an index, so what rows have in common is taken out once.
-- Lock: runs under the write lock.
-- Safe: the primary key refuses an id that was used.
WITH common AS MATERIALIZED (
    -- What is large stands last: to read what stands after it costs as much as to read it.
    SELECT value ->> 1 AS event_id, value ->> 2 AS state, value ->> 3 AS lines, value ->> 4 AS expires_at,
           value ->> 5 AS created_at, value ->> 6 AS updated_at, value ->> 7 AS fingerprint, value ->> 8 AS order_ref,
           value ->> 9 AS requested, value ->> 10 AS cancelled, jsonb_extract(value, '$[0]') AS each_own
      FROM jsonb_each(?)
)
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at,
                          fingerprint, order_ref, requested, cancelled)
SELECT common.event_id, own.key, own.value ->> 0, state, lines, expires_at, created_at, updated_at, fingerprint,
       order_ref, requested, cancelled
  FROM common, jsonb_each(each_own) AS own;
