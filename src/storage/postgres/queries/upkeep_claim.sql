-- Rows: one: whether this server may write the event's index now. $1: event
-- Lock: an advisory lock of the transaction, so that two servers do not do the same work.
-- Safe: upkeep_advance decides; this only saves work. (Of two who wrote the same run the keys would refuse one, who would try again.)
SELECT CASE WHEN pg_try_advisory_xact_lock(hashtextextended($1, 7300157)) THEN 1::bigint ELSE 0::bigint END;
