-- Rows: up to $2 events after $1, in order of ids.
-- Lock: none.
-- Safe: walks the primary key. Where the tables are spread, in the place of events.sql, which looks up holds for each event of a page:
-- Citus does not run such a statement for events on several machines.
SELECT id FROM events WHERE id > $1 ORDER BY id LIMIT $2;
