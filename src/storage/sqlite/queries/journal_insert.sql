-- Rows: one for each change.
-- ?: JSON, [[{"seq": ["reservation_id", "owner"], …}, "event", what these have in common …], …]; see reservations_insert
-- Lock: runs under the write lock.
-- Safe: the primary key refuses a number that was used; each event's last_seq moves in the same transaction.
WITH common AS MATERIALIZED (
    SELECT value ->> 1 AS event_id, value ->> 2 AS occurred_at, value ->> 3 AS kind, value ->> 4 AS changes,
           value ->> 5 AS actor, jsonb_extract(value, '$[0]') AS each_own
      FROM jsonb_each(?)
)
INSERT INTO journal (event_id, seq, reservation_id, owner, occurred_at, kind, changes, actor)
SELECT common.event_id, own.key, own.value ->> 0, own.value ->> 1, occurred_at, kind, changes, actor
  FROM common, jsonb_each(each_own) AS own;
