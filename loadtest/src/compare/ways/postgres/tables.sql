-- What most people have: a counter, and a row for each purchase; for `skip_locked` a row for each ticket instead.
DROP TABLE IF EXISTS allocation, purchase, ticket;
CREATE TABLE allocation (
    id integer PRIMARY KEY,
    capacity integer NOT NULL,
    sold integer NOT NULL,
    -- Of `version_column` alone.
    version bigint NOT NULL
);
CREATE TABLE purchase (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    allocation_id integer NOT NULL,
    buyer bigint NOT NULL,
    bought_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE ticket (
    allocation_id integer NOT NULL,
    id integer NOT NULL,
    buyer bigint,
    bought_at timestamptz,
    PRIMARY KEY (allocation_id, id)
);
-- Finds a free ticket without reading those that are sold.
CREATE INDEX ticket_free ON ticket (allocation_id, id) WHERE buyer IS NULL;
CHECKPOINT;
