-- Rows: one: the time that decides on expiry, the earliest expiry of the event's holds, and its greatest reservation. $1: event
-- Lock: runs under the event's lock.
-- Safe: a statement of its own after the locks were taken, so that the time is not earlier than what was committed before; the
-- earliest expiry and the greatest id are one seek each.
SELECT boxoffice_now(),
       (SELECT h.expires_at FROM reservations AS h WHERE h.event_id = $1 AND h.state = 'HELD'
         ORDER BY h.expires_at LIMIT 1),
       (SELECT g.id FROM reservations AS g WHERE g.event_id = $1 ORDER BY g.id DESC LIMIT 1)::text;
