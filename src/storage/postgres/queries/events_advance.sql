-- Rows: one: an event that changes while its settings stay. $1: event, $2: old last_seq, $3: new last_seq, $4: version
-- Lock: runs under the event's lock.
-- Safe: meets the event only at the last_seq and version that the decision was made from.
WITH met AS (
       UPDATE events SET last_seq = c.last_seq
         FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS c (old_last_seq, last_seq, version)
        WHERE events.id = $1 AND events.last_seq = c.old_last_seq AND events.version = c.version
    RETURNING 1)
SELECT CASE count(*) WHEN $5 THEN $5 ELSE boxoffice_guard($5, count(*)) END FROM met;
