-- Spreads the tables over the machines of a Citus cluster, by event: all rows of an event lie on one of them. Run it once, as
-- a superuser on the coordinator, after `boxoffice migrate` and before the first sale; see docs/scale-out.md.
-- (`boxoffice_schema` stays on the coordinator: nothing but the start of a server reads it.)

SELECT create_distributed_table('events', 'id');
SELECT create_distributed_table('allocations', 'event_id', colocate_with => 'events');
SELECT create_distributed_table('reservations', 'event_id', colocate_with => 'events');
SELECT create_distributed_table('journal_chunks', 'event_id', colocate_with => 'events');
SELECT create_distributed_table('owner_index', 'event_id', colocate_with => 'events');
SELECT create_distributed_table('owner_runs', 'event_id', colocate_with => 'events');

-- What statements that are sent to one machine as a whole call there. (Not `boxoffice_journal_row`: the coordinator calls it, for
-- programs that write to the view `journal`.)
SELECT create_distributed_function('boxoffice_guard(bigint, bigint)');
SELECT create_distributed_function('boxoffice_now()');
