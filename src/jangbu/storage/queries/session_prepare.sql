-- One plan for each statement for the life of the session, without compiling it: the statements are short and many.
-- They find their rows by keys: a plan that was made while a table was small must not read it whole when it has grown.
-- Bitmaps are left alone, too: PostgreSQL 18.4 dies of signal 11 where it looks at a locked row again that it found by
-- one, because another process had moved it meanwhile. So it does, seldom, in the midst of leaving out partitions while
-- a statement that waited for a lock goes on: all are looked into, by their keys.
-- A statement gives up a lock that nobody lets go of, sooner than a record goes to the spool (after 2 seconds, unless it is
-- set otherwise), so that others' records and holds go on without it; and a transaction whose client is gone is ended, so that one frozen host does not stop the
-- accounts it was writing to.
SELECT
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false),
    set_config('enable_partition_pruning', 'off', false),
    set_config('lock_timeout', '800ms', false),
    set_config('idle_in_transaction_session_timeout', '10s', false)
