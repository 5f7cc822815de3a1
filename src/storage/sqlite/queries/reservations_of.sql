-- Rows: up to $4 reservations of one owner, in order of their first journal rows. $1: event, $2: owner, $3: after seq
-- Lock: none: one statement sees one state.
-- Safe: each reservation begins with one journal row, RESERVED or SOLD, which is either in the owner index or behind it.
SELECT found.seq, r.id, r.owner, r.state, r.lines, r.requested, r.cancelled, r.expires_at, r.created_at, r.updated_at,
       r.fingerprint, r.order_ref
  FROM (SELECT seq FROM (
               SELECT i.seq FROM owner_runs AS u
                CROSS JOIN owner_index AS i
                   ON i.event_id = u.event_id AND i.run = u.run AND i.owner = $2 AND i.seq > $3
                WHERE u.event_id = $1 AND u.to_seq > $3
                ORDER BY u.run, i.seq LIMIT $4)
         UNION ALL
        SELECT seq FROM (
               SELECT t.seq FROM journal AS t
                WHERE t.event_id = $1
                  AND t.seq > max($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
                  AND t.kind IN ('RESERVED', 'SOLD') AND t.owner = $2
                ORDER BY t.seq LIMIT $4)
         ORDER BY seq LIMIT $4) AS found
 CROSS JOIN journal AS j ON j.event_id = $1 AND j.seq = found.seq
 CROSS JOIN reservations AS r ON r.event_id = $1 AND r.id = j.reservation_id
 ORDER BY found.seq;
