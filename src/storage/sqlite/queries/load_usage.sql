-- Rows: one for each of an owner's reservations that hold or have bought units. $1: event, $2: owner
-- Lock: runs under the write lock.
-- Safe: each reservation begins with one journal row, RESERVED or SOLD, which is either in the owner index or behind it.
SELECT r.lines, r.cancelled
  FROM (SELECT i.seq FROM owner_runs AS u
         CROSS JOIN owner_index AS i ON i.event_id = u.event_id AND i.run = u.run AND i.owner = $2
         WHERE u.event_id = $1
         UNION ALL
        SELECT t.seq FROM journal AS t
         WHERE t.event_id = $1 AND t.seq > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1)
           AND t.kind IN ('RESERVED', 'SOLD') AND t.owner = $2) AS found
 CROSS JOIN journal AS j ON j.event_id = $1 AND j.seq = found.seq
 CROSS JOIN reservations AS r ON r.event_id = $1 AND r.id = j.reservation_id
 WHERE r.state IN ('HELD', 'CONFIRMED');
