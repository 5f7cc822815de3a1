-- Rows: one for each change. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses a number that was used; the event's last_seq moves in the same transaction.
INSERT INTO journal (event_id, seq, occurred_at, kind, changes, reservation_id, owner, actor)
SELECT $1, c.*
  FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::json[], $6::uuid[], $7::text[], $8::text[]) AS c;
