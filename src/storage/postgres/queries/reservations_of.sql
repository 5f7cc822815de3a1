-- Rows: up to $4 reservations of one owner, in order of their first journal rows. $1: event, $2: owner, $3: after seq
-- Lock: none: one statement sees one state.
-- Safe: each reservation begins with one journal row, RESERVED or SOLD, which is either in the owner index or behind it.
-- (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT found.seq, r.id::text, r.owner, r.state, r.lines::text, r.requested::text, r.cancelled::text, r.expires_at,
       r.created_at, r.updated_at, r.fingerprint, r.order_ref
  FROM (SELECT seq FROM (
               SELECT i.seq FROM owner_runs AS u
                CROSS JOIN LATERAL (
                      SELECT f.seq FROM owner_index AS f
                       WHERE f.event_id = $1 AND f.run = u.run AND f.owner = $2 AND f.seq > $3 OFFSET 0) AS i
                WHERE u.event_id = $1 AND u.to_seq > $3
                ORDER BY u.run, i.seq LIMIT $4) AS indexed
         UNION ALL
        SELECT seq FROM (
               SELECT t.seq FROM journal AS t
                WHERE t.event_id = $1
                  AND t.seq > greatest($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
                  AND t.kind IN ('RESERVED', 'SOLD') AND t.owner = $2
                ORDER BY t.seq LIMIT $4) AS behind
         ORDER BY seq LIMIT $4) AS found
 CROSS JOIN LATERAL (SELECT f.reservation_id FROM journal AS f WHERE f.event_id = $1 AND f.seq = found.seq OFFSET 0) AS j
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = j.reservation_id OFFSET 0) AS r
 ORDER BY found.seq;
