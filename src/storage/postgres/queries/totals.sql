-- Rows: one: units of all allocations, and changes that the index of owners does not cover.
-- Lock: none.
-- Safe: reads all events and allocations, in one statement. For metrics, a few times a minute.
SELECT (SELECT coalesce(sum(capacity), 0)::bigint FROM allocations),
       (SELECT coalesce(sum(held), 0)::bigint FROM allocations),
       (SELECT coalesce(sum(sold), 0)::bigint FROM allocations),
       (SELECT coalesce(sum(last_seq - owner_indexed_seq), 0)::bigint FROM events);
