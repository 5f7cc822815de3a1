-- The journal in chunks: a row for what a batch wrote of an event, up to 64 entries, instead of a row and an index entry for each.
-- A chunk's entries are JSON, in groups: what is an entry's own, by its number, and what all of the group have in common:
--     [[{"7":["01a200c2-…","ann"],"8":["01a200c3-…","bob"]},occurred_at,"RESERVED",{"held":{"ga":2},"expires_at":…},actor], …]
-- The view `journal` shows them as rows.
-- Programs that know only the migrations before this can live with it: they read the view, slowly, and write through it.
-- Nothing is sold while it is rewritten: about 4 s for a million entries. Where something else keeps it locked, this is given up.
SET LOCAL lock_timeout = '5s';
LOCK TABLE journal IN ACCESS EXCLUSIVE MODE;

-- A chunk fits on a page. It stays there as it is: to compress each would cost more than to write it.
CREATE TABLE journal_chunks (
    event_id text    COLLATE "C" NOT NULL,
    last_seq bigint  NOT NULL CHECK (last_seq >= 1), -- number of its last entry
    entries  json    NOT NULL,
    PRIMARY KEY (event_id, last_seq)
) WITH (toast_tuple_target = 8160);

INSERT INTO journal_chunks (event_id, last_seq, entries)
SELECT event_id, max(seq),
       json_agg(json_build_array(json_build_object(seq, json_build_array(reservation_id, owner)), occurred_at, kind, changes, actor)
                ORDER BY seq)
  FROM journal
 GROUP BY event_id, (seq - 1) / 64;

-- What happened, in order of seq and without gaps. For people: to look up a number in it reads the whole event.
CREATE VIEW journal_rows (event_id, seq, occurred_at, kind, actor, reservation_id, owner, changes) AS
SELECT c.event_id, own.key::bigint, (g.value ->> 1)::bigint, g.value ->> 2, g.value ->> 4, (own.value ->> 0)::uuid, own.value ->> 1,
       g.value -> 3
  FROM journal_chunks AS c
 CROSS JOIN LATERAL json_array_elements(c.entries) AS g
 CROSS JOIN LATERAL json_each(g.value -> 0) AS own;

-- What older programs write: a chunk for each entry.
CREATE FUNCTION boxoffice_journal_row() RETURNS trigger LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO journal_chunks (event_id, last_seq, entries)
    VALUES (NEW.event_id, NEW.seq, json_build_array(json_build_array(
        json_build_object(NEW.seq, json_build_array(NEW.reservation_id, NEW.owner)), NEW.occurred_at, NEW.kind, NEW.changes, NEW.actor)));
    RETURN NEW;
END $$;
CREATE TRIGGER older_programs INSTEAD OF INSERT ON journal_rows FOR EACH ROW EXECUTE FUNCTION boxoffice_journal_row();

-- Whoever had rights on the table has them on what takes its place.
DO $$
DECLARE
    had record;
BEGIN
    FOR had IN SELECT a.privilege_type AS what,
                      CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS whose
                 FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
                WHERE c.oid = 'journal'::regclass AND a.grantee <> c.relowner
    LOOP
        EXECUTE format('GRANT %s ON journal_chunks, journal_rows TO %s', had.what, had.whose);
    END LOOP;
END $$;

DROP TABLE journal;
ALTER VIEW journal_rows RENAME TO journal;
