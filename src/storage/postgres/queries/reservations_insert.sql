-- Rows: one for each new reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses an id that was used.
INSERT INTO reservations (event_id, id, owner, state, lines, expires_at, created_at, updated_at, fingerprint,
                          order_ref, requested, cancelled)
SELECT $1, c.*
  FROM unnest($2::uuid[], $3::text[], $4::text[], $5::json[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[],
              $11::json[], $12::json[]) AS c;
