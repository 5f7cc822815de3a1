-- Rows: one for each new allocation. $1: event
-- Lock: runs under the event's lock.
-- Safe: the primary key refuses one that exists; the table's CHECK refuses one that is oversold.
INSERT INTO allocations (event_id, id, display_name, capacity, drain_to, held, sold, limit_per_owner, version)
SELECT $1, c.*
  FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
              $9::bigint[]) AS c;
