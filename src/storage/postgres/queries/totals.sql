-- Rows: one: units of all allocations, and changes that the index of owners does not cover.
-- Lock: none.
-- Safe: reads all events and allocations, in one statement. For metrics, a few times a minute. (Where the tables are spread, each
-- machine adds up its own: it can do so for what stands after FROM.)
SELECT a.capacity, a.held, a.sold, e.behind
  FROM (SELECT coalesce(sum(capacity), 0)::bigint AS capacity, coalesce(sum(held), 0)::bigint AS held,
               coalesce(sum(sold), 0)::bigint AS sold FROM allocations) AS a
 CROSS JOIN (SELECT coalesce(sum(last_seq - owner_indexed_seq), 0)::bigint AS behind FROM events) AS e;
