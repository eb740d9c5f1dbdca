-- Begins a look at the book, and tells of which moment it is, by the database's clock. Its statements sum many rows
-- into few, which PostgreSQL cannot know beforehand: without sorting them first that takes half of the time. Nothing is
-- locked in it, so months may be left out that a window does not touch (see session_prepare), and nobody waits behind it:
-- where tables are being changed it has the time that a person has. To start workers would take longer than what they
-- are to help with.
SELECT
    clock_timestamp() AS as_of,
    set_config('enable_sort', 'off', true),
    set_config('max_parallel_workers_per_gather', '0', true),
    set_config('enable_partition_pruning', 'on', true),
    set_config('lock_timeout', '5s', true)
