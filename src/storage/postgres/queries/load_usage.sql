-- Rows: one for each of an owner's reservations that hold or have bought units. $1: event, $2: owner
-- Lock: runs under the event's lock.
-- Safe: each reservation begins with one journal entry, RESERVED or SOLD, which is either in the owner index or behind it. A chunk
-- is taken apart only where the owner's name stands in it.
-- (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT r.lines::text, r.cancelled::text
  FROM (SELECT (g.value -> 0 -> i.seq::text ->> 0)::uuid AS id
          FROM owner_runs AS u
         CROSS JOIN LATERAL (
               SELECT f.seq FROM owner_index AS f WHERE f.event_id = $1 AND f.run = u.run AND f.owner = $2 OFFSET 0) AS i
         CROSS JOIN LATERAL (
               SELECT f.entries FROM journal_chunks AS f
                WHERE f.event_id = $1 AND f.last_seq >= i.seq ORDER BY f.last_seq LIMIT 1) AS c
         CROSS JOIN LATERAL json_array_elements(c.entries) AS g
         WHERE u.event_id = $1 AND g.value -> 0 -> i.seq::text IS NOT NULL
         UNION ALL
        SELECT (own.value ->> 0)::uuid
          FROM (SELECT f.entries FROM journal_chunks AS f
                 WHERE f.event_id = $1 AND f.last_seq > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1)
                   AND position(to_json($2::text)::text IN f.entries::text) > 0 OFFSET 0) AS c
         CROSS JOIN LATERAL json_array_elements(c.entries) AS g
         CROSS JOIN LATERAL json_each(g.value -> 0) AS own
         WHERE g.value ->> 2 IN ('RESERVED', 'SOLD') AND own.value ->> 1 = $2
           AND own.key::bigint > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1)) AS found
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = found.id OFFSET 0) AS r
 WHERE r.state IN ('HELD', 'CONFIRMED');
