-- The inventory. Every key is led by the event. Times are microseconds since the epoch, in UTC.
-- What a sale writes lies in the order of writing, of all events together (SQLite appends to a table with a rowid at little
-- cost); only the small entries of its indexes lie by event. The other tables are one tree each, in the order of their
-- primary keys.

-- Marks the file as Boxoffice's ("BxOf"), so that no other program's database is taken for one.
PRAGMA application_id = 1115180902;

CREATE TABLE events (
    id                    TEXT    NOT NULL PRIMARY KEY,
    display_name          TEXT    NOT NULL,
    sales_state           TEXT    NOT NULL CHECK (sales_state IN ('DRAFT', 'ON_SALE', 'PAUSED', 'CLOSED', 'CANCELLED')),
    on_sale_at            INTEGER,
    off_sale_at           INTEGER,
    hold_ttl_default      INTEGER NOT NULL, -- microseconds
    hold_ttl_max          INTEGER NOT NULL, -- microseconds
    limit_per_owner       INTEGER,
    last_seq              INTEGER NOT NULL CHECK (last_seq >= 0), -- number of the newest row in the journal
    version               INTEGER NOT NULL, -- of what people edit
    allocation_count      INTEGER NOT NULL CHECK (allocation_count >= 0),
    has_allocation_limits INTEGER NOT NULL CHECK (has_allocation_limits IN (0, 1)),
    owner_indexed_seq     INTEGER NOT NULL DEFAULT 0 CHECK (owner_indexed_seq >= 0), -- see owner_index
    created_at            INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE allocations (
    event_id        TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    display_name    TEXT    NOT NULL,
    capacity        INTEGER NOT NULL,
    drain_to        INTEGER CHECK (drain_to >= 0), -- where capacity is going while it is drained
    held            INTEGER NOT NULL,
    sold            INTEGER NOT NULL,
    limit_per_owner INTEGER,
    version         INTEGER NOT NULL, -- of what people edit
    PRIMARY KEY (event_id, id),
    CONSTRAINT never_oversold CHECK (held >= 0 AND sold >= 0 AND held + sold <= capacity)
) STRICT, WITHOUT ROWID;

CREATE TABLE reservations (
    event_id    TEXT    NOT NULL,
    id          TEXT    NOT NULL, -- a UUID
    owner       TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('HELD', 'CONFIRMED', 'RELEASED', 'EXPIRED', 'CANCELLED')),
    lines       TEXT    NOT NULL, -- units granted of each allocation: {"ga":2}
    requested   TEXT,             -- units asked for, where they differ
    cancelled   TEXT,             -- units refunded, where there are any
    expires_at  INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL, -- of the request
    order_ref   TEXT,
    PRIMARY KEY (event_id, id)
) STRICT;

CREATE INDEX reservations_held_by_expiry ON reservations (event_id, expires_at, id) WHERE state = 'HELD';

-- What happened, in order, without gaps. Only ever appended to.
CREATE TABLE journal (
    event_id       TEXT    NOT NULL,
    seq            INTEGER NOT NULL CHECK (seq >= 1),
    occurred_at    INTEGER NOT NULL,
    kind           TEXT    NOT NULL CHECK (kind IN (
                       'EVENT_CREATED', 'EVENT_UPDATED', 'ALLOCATION_CREATED', 'ALLOCATION_UPDATED',
                       'CAPACITY_TRANSFERRED', 'RESERVED', 'SOLD', 'EXTENDED', 'CONFIRMED', 'REACQUIRED', 'RELEASED',
                       'EXPIRED', 'CANCELLED')),
    actor          TEXT,          -- NULL: the owner of the reservation himself
    reservation_id TEXT,
    owner          TEXT,
    changes        TEXT    NOT NULL, -- what was added to the counts, and more: {"held":{"ga":2},"expires_at":…}
    PRIMARY KEY (event_id, seq)
) STRICT;

-- Where the reservations of an owner begin in the journal. An index that is kept up with each reservation would dirty
-- a page of its own for each; so it is written later and in sorted runs, each after the former: a run covers the journal
-- from its first seq on. What lies behind events.owner_indexed_seq is looked up in the journal itself.
CREATE TABLE owner_index (
    event_id TEXT    NOT NULL,
    run      INTEGER NOT NULL,
    owner    TEXT    NOT NULL,
    seq      INTEGER NOT NULL,
    PRIMARY KEY (event_id, run, owner, seq)
) STRICT, WITHOUT ROWID;

-- The runs that are complete.
CREATE TABLE owner_runs (
    event_id TEXT    NOT NULL,
    run      INTEGER NOT NULL,
    to_seq   INTEGER NOT NULL,
    PRIMARY KEY (event_id, run)
) STRICT, WITHOUT ROWID;
