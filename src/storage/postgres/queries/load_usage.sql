-- Rows: one for each of an owner's reservations that hold or have bought units. $1: event, $2: owner
-- Lock: runs under the event's lock.
-- Safe: each reservation begins with one journal row, RESERVED or SOLD, which is either in the owner index or behind it.
-- (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT r.lines::text, r.cancelled::text
  FROM (SELECT i.seq FROM owner_runs AS u
         CROSS JOIN LATERAL (
               SELECT f.seq FROM owner_index AS f WHERE f.event_id = $1 AND f.run = u.run AND f.owner = $2 OFFSET 0) AS i
         WHERE u.event_id = $1
         UNION ALL
        SELECT t.seq FROM journal AS t
         WHERE t.event_id = $1 AND t.seq > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1)
           AND t.kind IN ('RESERVED', 'SOLD') AND t.owner = $2) AS found
 CROSS JOIN LATERAL (SELECT f.reservation_id FROM journal AS f WHERE f.event_id = $1 AND f.seq = found.seq OFFSET 0) AS j
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = j.reservation_id OFFSET 0) AS r
 WHERE r.state IN ('HELD', 'CONFIRMED');
