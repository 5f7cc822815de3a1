-- Rows: up to $2 events, in order of ids. $1: now
-- Lock: none.
-- Safe: a hint for the sweeper, as events_with_expired_holds, where the tables are spread: Citus runs no recursive statement for events
-- on several machines. Each walks its index of holds from end to end, which takes longer the more holds there are.
SELECT DISTINCT event_id FROM reservations WHERE state = 'HELD' AND expires_at <= $1 ORDER BY event_id LIMIT $2;
