-- Rows: one: the time that decides on expiry.
-- Lock: none.
-- Safe: a statement of its own after the locks were taken, so that it is not earlier than what was committed before.
SELECT boxoffice_now();
