-- The waiting room of an event: off where waiting_room_rate is NULL, and then the other four are NULL as well. Programs that
-- know only the migration before this can live with it (they ask nobody for a pass), so boxoffice_schema stays as it is.
-- Each column is added by itself and without a constraint of its own, as tables that are distributed by Citus want it.
-- An UPDATE that moves an event on in a sale touches none of these, so it stays on its page as before.
ALTER TABLE events ADD COLUMN waiting_room_rate bigint; -- people let in a second
ALTER TABLE events ADD COLUMN waiting_room_inside_max bigint; -- NULL: no cap
ALTER TABLE events ADD COLUMN waiting_room_on_loss text;
ALTER TABLE events ADD COLUMN waiting_room_pass_lifetime bigint; -- microseconds
ALTER TABLE events ADD COLUMN waiting_room_grace bigint; -- microseconds

ALTER TABLE events ADD CONSTRAINT waiting_room_is_whole CHECK (
    CASE WHEN waiting_room_rate IS NULL
         THEN waiting_room_inside_max IS NULL AND waiting_room_on_loss IS NULL AND waiting_room_pass_lifetime IS NULL
              AND waiting_room_grace IS NULL
         ELSE waiting_room_rate >= 0 AND (waiting_room_inside_max IS NULL OR waiting_room_inside_max >= 1)
              AND waiting_room_on_loss IN ('OPEN', 'CLOSED') AND waiting_room_on_loss IS NOT NULL
              AND waiting_room_pass_lifetime IS NOT NULL AND waiting_room_grace IS NOT NULL
    END);

CREATE INDEX events_with_waiting_room ON events (id) WHERE waiting_room_rate IS NOT NULL;
