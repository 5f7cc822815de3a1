-- The inventory. Every key is led by the event, so that all of an event's rows can live on one shard. Times are
-- microseconds since the epoch, in UTC. Texts are compared byte by byte, as the programs do.

-- Which programs may use this database: those that know all migrations up to this one. A migration that programs before it
-- can live with leaves it alone; one that they cannot live with raises it. See docs/postgres.md.
CREATE TABLE boxoffice_schema (
    oldest_migration_required bigint NOT NULL
);
INSERT INTO boxoffice_schema VALUES (1);

-- The clock that decides on expiry: in a transaction, what it is now and not what it was at the beginning.
CREATE FUNCTION boxoffice_now() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL SAFE
    AS $$ SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint $$;

-- Fails, and with it the transaction, where a statement met another number of rows than the decision was made from.
CREATE FUNCTION boxoffice_guard(expected bigint, met bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
    AS $$
BEGIN
    IF met <> expected THEN
        RAISE EXCEPTION 'guard: % rows expected, % met', expected, met USING ERRCODE = 'BX001';
    END IF;
    RETURN met;
END $$;

-- The few rows that every batch updates leave room on their page, so that an update stays there.
CREATE TABLE events (
    id                    text    COLLATE "C" NOT NULL PRIMARY KEY,
    display_name          text    NOT NULL,
    sales_state           text    NOT NULL CHECK (sales_state IN ('DRAFT', 'ON_SALE', 'PAUSED', 'CLOSED', 'CANCELLED')),
    on_sale_at            bigint,
    off_sale_at           bigint,
    hold_ttl_default      bigint  NOT NULL, -- microseconds
    hold_ttl_max          bigint  NOT NULL, -- microseconds
    limit_per_owner       bigint,
    last_seq              bigint  NOT NULL CHECK (last_seq >= 0), -- number of the newest row in the journal
    version               bigint  NOT NULL, -- of what people edit
    allocation_count      bigint  NOT NULL CHECK (allocation_count >= 0),
    has_allocation_limits bigint  NOT NULL CHECK (has_allocation_limits IN (0, 1)),
    owner_indexed_seq     bigint  NOT NULL DEFAULT 0 CHECK (owner_indexed_seq >= 0), -- see owner_index
    created_at            bigint  NOT NULL
) WITH (fillfactor = 20);

CREATE TABLE allocations (
    event_id        text    COLLATE "C" NOT NULL,
    id              text    COLLATE "C" NOT NULL,
    display_name    text    NOT NULL,
    capacity        bigint  NOT NULL,
    drain_to        bigint  CHECK (drain_to >= 0), -- where capacity is going while it is drained
    held            bigint  NOT NULL,
    sold            bigint  NOT NULL,
    limit_per_owner bigint,
    version         bigint  NOT NULL, -- of what people edit
    PRIMARY KEY (event_id, id),
    CONSTRAINT never_oversold CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)
) WITH (fillfactor = 20);

CREATE TABLE reservations (
    event_id    text    COLLATE "C" NOT NULL,
    id          uuid    NOT NULL,
    owner       text    COLLATE "C" NOT NULL,
    state       text    NOT NULL CHECK (state IN ('HELD', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'CANCELLED')),
    lines       json    NOT NULL, -- units granted of each allocation: {"ga":2}
    requested   json,             -- units asked for, where they differ
    cancelled   json,             -- units refunded, where there are any
    expires_at  bigint  NOT NULL,
    created_at  bigint  NOT NULL,
    updated_at  bigint  NOT NULL,
    fingerprint bigint  NOT NULL, -- of the request
    order_ref   text,
    PRIMARY KEY (event_id, id)
);

CREATE INDEX reservations_held_by_expiry ON reservations (event_id, expires_at, id) WHERE state = 'HELD';

-- What happened, in order, without gaps. Only ever appended to.
CREATE TABLE journal (
    event_id       text    COLLATE "C" NOT NULL,
    seq            bigint  NOT NULL CHECK (seq >= 1),
    occurred_at    bigint  NOT NULL,
    kind           text    NOT NULL CHECK (kind IN (
                       'EVENT_CREATED', 'EVENT_UPDATED', 'ALLOCATION_CREATED', 'ALLOCATION_UPDATED',
                       'CAPACITY_TRANSFERRED', 'RESERVED', 'SOLD', 'EXTENDED', 'CONFIRMED', 'REACQUIRED', 'RELEASED',
                       'EXPIRED', 'CANCELLED')),
    actor          text,          -- NULL: the owner of the reservation himself
    reservation_id uuid,
    owner          text    COLLATE "C",
    changes        json    NOT NULL, -- what was added to the counts, and more: {"held":{"ga":2},"expires_at":…}
    PRIMARY KEY (event_id, seq)
);

-- Where the reservations of an owner begin in the journal. An index that is kept up with each reservation would dirty
-- a page of its own for each; so it is written later and in sorted runs, each after the former: a run covers the journal
-- from its first seq on. What lies behind events.owner_indexed_seq is looked up in the journal itself.
CREATE TABLE owner_index (
    event_id text    COLLATE "C" NOT NULL,
    run      bigint  NOT NULL,
    owner    text    COLLATE "C" NOT NULL,
    seq      bigint  NOT NULL,
    PRIMARY KEY (event_id, run, owner, seq)
);

-- The runs that are complete.
CREATE TABLE owner_runs (
    event_id text    COLLATE "C" NOT NULL,
    run      bigint  NOT NULL,
    to_seq   bigint  NOT NULL,
    PRIMARY KEY (event_id, run)
);
