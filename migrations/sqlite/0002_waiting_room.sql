-- The waiting room of an event: off where waiting_room_rate is NULL, and then the other four are NULL as well.
-- An UPDATE that moves an event on in a sale touches none of these, and so not the index either.
ALTER TABLE events ADD COLUMN waiting_room_rate          INTEGER CHECK (waiting_room_rate >= 0); -- people let in a second
ALTER TABLE events ADD COLUMN waiting_room_inside_max    INTEGER CHECK (waiting_room_inside_max >= 1); -- NULL: no cap
ALTER TABLE events ADD COLUMN waiting_room_on_loss       TEXT CHECK (waiting_room_on_loss IN ('OPEN', 'CLOSED'));
ALTER TABLE events ADD COLUMN waiting_room_pass_lifetime INTEGER; -- microseconds
ALTER TABLE events ADD COLUMN waiting_room_grace         INTEGER -- microseconds
    CONSTRAINT waiting_room_is_whole CHECK (
        CASE WHEN waiting_room_rate IS NULL
             THEN waiting_room_inside_max IS NULL AND waiting_room_on_loss IS NULL AND waiting_room_pass_lifetime IS NULL
                  AND waiting_room_grace IS NULL
             ELSE waiting_room_on_loss IS NOT NULL AND waiting_room_pass_lifetime IS NOT NULL
                  AND waiting_room_grace IS NOT NULL
        END);

CREATE INDEX events_with_waiting_room ON events (id) WHERE waiting_room_rate IS NOT NULL;
