-- The same checks in a form that costs nothing. SQLite makes a table of a list after IN, with a row for each of its texts, and makes
-- it anew for each row that is written: for a reservation and its journal entry 18 insertions, where the rows and their indexes are
-- five. A chain of comparisons ends at the first that holds, so what a sale writes stands first.
-- A check is nothing but text in the schema, so no row is touched. SQLite's documentation names this way to change one
-- (https://www.sqlite.org/lang_altertable.html, section 8). Every connection that writes rows is opened after the migrations.
PRAGMA writable_schema = ON;

UPDATE sqlite_schema
   SET sql = replace(sql,
'CHECK (state IN (''HELD'', ''CONFIRMED'', ''RELEASED'', ''EXPIRED'', ''CANCELLED''))',
'CHECK (state = ''HELD'' OR state = ''CONFIRMED'' OR state = ''RELEASED'' OR state = ''EXPIRED'' OR state = ''CANCELLED'')')
 WHERE type = 'table' AND name = 'reservations';

UPDATE sqlite_schema
   SET sql = replace(sql,
'CHECK (kind IN (
                       ''EVENT_CREATED'', ''EVENT_UPDATED'', ''ALLOCATION_CREATED'', ''ALLOCATION_UPDATED'',
                       ''CAPACITY_TRANSFERRED'', ''RESERVED'', ''SOLD'', ''EXTENDED'', ''CONFIRMED'', ''REACQUIRED'', ''RELEASED'',
                       ''EXPIRED'', ''CANCELLED''))',
'CHECK (kind = ''RESERVED'' OR kind = ''CONFIRMED'' OR kind = ''RELEASED'' OR kind = ''EXPIRED'' OR kind = ''SOLD'' OR
                          kind = ''EXTENDED'' OR kind = ''REACQUIRED'' OR kind = ''CANCELLED'' OR kind = ''EVENT_CREATED'' OR
                          kind = ''EVENT_UPDATED'' OR kind = ''ALLOCATION_CREATED'' OR kind = ''ALLOCATION_UPDATED'' OR
                          kind = ''CAPACITY_TRANSFERRED'')')
 WHERE type = 'table' AND name = 'journal';

PRAGMA writable_schema = RESET;
