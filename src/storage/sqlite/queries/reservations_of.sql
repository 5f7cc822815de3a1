-- Rows: up to $4 reservations of one owner, in order of their first journal entries.
-- $1: event, $2: owner, $3: after seq, $4: number, $5: the owner as JSON
-- Lock: none: one statement sees one state.
-- Safe: each reservation begins with one journal entry, RESERVED or SOLD, which is either in the owner index or behind it. A chunk
-- is taken apart only where the owner's name stands in it. Whatever index and journal say, nobody is shown what is another's.
SELECT found.seq, r.id, r.owner, r.state, r.lines, r.requested, r.cancelled, r.expires_at, r.created_at, r.updated_at,
       r.fingerprint, r.order_ref
  FROM (SELECT indexed.seq, g.value ->> ('$[0]."' || indexed.seq || '"[0]') AS id
          FROM (SELECT i.seq FROM owner_runs AS u
                 CROSS JOIN owner_index AS i
                    ON i.event_id = u.event_id AND i.run = u.run AND i.owner = $2 AND i.seq > $3
                 WHERE u.event_id = $1 AND u.to_seq > $3
                 ORDER BY u.run, i.seq LIMIT $4) AS indexed
         CROSS JOIN journal_chunks AS c ON c.event_id = $1 AND c.last_seq = (
               SELECT d.last_seq FROM journal_chunks AS d
                WHERE d.event_id = $1 AND d.last_seq >= indexed.seq ORDER BY d.last_seq LIMIT 1)
         CROSS JOIN jsonb_each(c.entries) AS g ON g.value -> ('$[0]."' || indexed.seq || '"') IS NOT NULL
         UNION ALL
        SELECT CAST(own.key AS INTEGER), own.value ->> 0
          FROM journal_chunks AS c
         CROSS JOIN jsonb_each(c.entries) AS g ON g.value ->> 2 IN ('RESERVED', 'SOLD')
         CROSS JOIN json_each(g.value, '$[0]') AS own ON own.value ->> 1 = $2
         WHERE c.event_id = $1 AND instr(c.entries, $5)
           AND c.last_seq > max($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
           AND CAST(own.key AS INTEGER) > max($3, (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = $1))
         ORDER BY 1 LIMIT $4) AS found
 CROSS JOIN reservations AS r ON r.event_id = $1 AND r.id = found.id AND r.owner = $2
 ORDER BY found.seq;
