-- Rows: one for each changed reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: meets a reservation only in the state, and as last changed, that the decision was made from.
-- (The planner cannot see how many rows an array in a subquery has, nor what a LIMIT in one is, and reckons with one row. So it
-- looks each up by primary key; else it might read all reservations of the event and compare.)
WITH met AS (
       UPDATE reservations AS r
          SET state = c.state, lines = c.lines, requested = c.requested, cancelled = c.cancelled, expires_at = c.expires_at,
              updated_at = c.updated_at, order_ref = c.order_ref
         FROM (SELECT *
                 FROM unnest((SELECT $2::uuid[]), (SELECT $3::text[]), (SELECT $4::json[]), (SELECT $5::json[]),
                             (SELECT $6::json[]), (SELECT $7::bigint[]), (SELECT $8::bigint[]), (SELECT $9::text[]),
                             (SELECT $10::text[]), (SELECT $11::bigint[]))
                      AS u (id, state, lines, requested, cancelled, expires_at, updated_at, order_ref, old_state, old_updated_at)
                LIMIT (SELECT 1000000)) AS c
        WHERE r.event_id = $1 AND r.id = c.id AND r.state = c.old_state AND r.updated_at = c.old_updated_at
    RETURNING 1)
SELECT CASE count(*) WHEN $12 THEN $12 ELSE boxoffice_guard($12, count(*)) END FROM met;
