-- Rows: one for each change. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses a number that was used; the event's last_seq moves in the same transaction.
INSERT INTO journal (event_id, seq, reservation_id, owner, occurred_at, kind, changes, actor)
SELECT $1, c.*
  FROM unnest($2::bigint[], $3::uuid[], $4::text[], $5::bigint[], $6::text[], $7::json[], $8::text[]) AS c;
