-- Rows: none. ?: how many rows the statement before must have met
-- Lock: runs under the write lock.
-- Safe: fails where it met another number, so that the script stops before its COMMIT. (SQL outside of triggers has no
-- statement that fails; this text is no JSON, and being told so is the failure.)
SELECT 1 WHERE changes() <> ? AND json('guard: ' || changes());
