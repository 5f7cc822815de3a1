-- Rows: one for each of an owner's reservations that hold or have bought units. ?1: event, ?2: owner, ?3: the owner as JSON
-- Lock: runs under the write lock.
-- Safe: each reservation begins with one journal entry, RESERVED or SOLD, which is either in the owner index or behind it.
SELECT r.lines, r.cancelled
  FROM (SELECT g.value ->> ('$[0]."' || i.seq || '"[0]') AS id
          FROM owner_runs AS u
         CROSS JOIN owner_index AS i ON i.event_id = u.event_id AND i.run = u.run AND i.owner = ?2
         CROSS JOIN journal_chunks AS c ON c.event_id = ?1 AND c.last_seq = (
               SELECT d.last_seq FROM journal_chunks AS d
                WHERE d.event_id = ?1 AND d.last_seq >= i.seq ORDER BY d.last_seq LIMIT 1)
         CROSS JOIN jsonb_each(c.entries) AS g ON g.value -> ('$[0]."' || i.seq || '"') IS NOT NULL
         WHERE u.event_id = ?1
         UNION ALL
        SELECT own.value ->> 0
          FROM journal_chunks AS c
         CROSS JOIN jsonb_each(c.entries) AS g ON g.value ->> 2 IN ('RESERVED', 'SOLD')
         CROSS JOIN json_each(g.value, '$[0]') AS own ON own.value ->> 1 = ?2
         WHERE c.event_id = ?1 AND instr(c.entries, ?3)
           AND c.last_seq > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = ?1)
           AND CAST(own.key AS INTEGER) > (SELECT e.owner_indexed_seq FROM events AS e WHERE e.id = ?1)) AS found
 CROSS JOIN reservations AS r ON r.event_id = ?1 AND r.id = found.id
 WHERE r.state IN ('HELD', 'CONFIRMED');
