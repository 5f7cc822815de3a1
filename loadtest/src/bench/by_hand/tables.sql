-- What most people would write by hand: a counter, and a row for each reservation. Less than Boxoffice keeps: no journal,
-- no limit per owner, no look-up by owner, no idempotency.
DROP TABLE IF EXISTS allocation, reservation;
CREATE TABLE allocation (
    id bigint PRIMARY KEY,
    capacity integer NOT NULL,
    held integer NOT NULL,
    sold integer NOT NULL,
    CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)
);
CREATE TABLE reservation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    allocation_id bigint NOT NULL,
    owner text NOT NULL,
    quantity integer NOT NULL,
    expires_at timestamptz NOT NULL
);
INSERT INTO allocation VALUES (1, 1000000000, 0, 0);
