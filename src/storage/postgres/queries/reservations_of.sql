-- Rows: up to $4 reservations of one owner, in order of their first journal entries. $1: event, $2: owner, $3: after seq
-- Lock: none: one statement sees one state.
-- Safe: each reservation begins with one journal entry, RESERVED or SOLD, which is either in the owner index or behind it. A chunk
-- is taken apart only where the owner's name stands in it. Whatever index and journal say, nobody is shown what is another's.
-- (OFFSET 0: look-ups, one by one, and no join whose order the planner chooses.)
SELECT found.seq, r.id::text, r.owner, r.state, r.lines::text, r.requested::text, r.cancelled::text, r.expires_at,
       r.created_at, r.updated_at, r.fingerprint, r.order_ref
  FROM (SELECT indexed.seq, (g.value -> 0 -> indexed.seq::text ->> 0)::uuid AS id
          FROM (SELECT i.seq FROM owner_runs AS u
                 CROSS JOIN LATERAL (
                       SELECT f.seq FROM owner_index AS f
                        WHERE f.event_id = $1 AND f.run = u.run AND f.owner = $2 AND f.seq > $3 OFFSET 0) AS i
                 WHERE u.event_id = $1 AND u.to_seq > $3
                 ORDER BY u.run, i.seq LIMIT $4) AS indexed
         CROSS JOIN LATERAL (
               SELECT f.entries FROM journal_chunks AS f
                WHERE f.event_id = $1 AND f.last_seq >= indexed.seq ORDER BY f.last_seq LIMIT 1) AS c
         CROSS JOIN LATERAL json_array_elements(c.entries) AS g
         WHERE g.value -> 0 -> indexed.seq::text IS NOT NULL
         UNION ALL
        SELECT behind.seq, behind.id
          FROM (SELECT own.key::bigint AS seq, (own.value ->> 0)::uuid AS id
                  FROM (SELECT f.entries FROM journal_chunks AS f
                         WHERE f.event_id = $1
                           AND f.last_seq > greatest($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
                           AND position(to_json($2::text)::text IN f.entries::text) > 0 OFFSET 0) AS c
                 CROSS JOIN LATERAL json_array_elements(c.entries) AS g
                 CROSS JOIN LATERAL json_each(g.value -> 0) AS own
                 WHERE g.value ->> 2 IN ('RESERVED', 'SOLD') AND own.value ->> 1 = $2
                   AND own.key::bigint > greatest($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
                 ORDER BY 1 LIMIT $4) AS behind
         ORDER BY seq LIMIT $4) AS found
 CROSS JOIN LATERAL (SELECT * FROM reservations AS f WHERE f.event_id = $1 AND f.id = found.id OFFSET 0) AS r
 WHERE r.owner = $2
 ORDER BY found.seq;
