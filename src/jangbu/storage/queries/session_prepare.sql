-- One plan for each statement for the life of the session, without compiling it: the statements are short and many.
-- They find their rows by keys: a plan that was made while a table was small must not read it whole when it has grown.
-- A statement gives up a lock that nobody lets go of, and a transaction whose client is gone is ended, so that one
-- frozen host does not stop the accounts it was writing to.
SELECT
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false),
    set_config('enable_seqscan', 'off', false),
    set_config('lock_timeout', '5s', false),
    set_config('idle_in_transaction_session_timeout', '10s', false)
