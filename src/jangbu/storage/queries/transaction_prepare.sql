-- What session_prepare sets, for one transaction: behind a pooler the next one may be another session's. Statements are
-- planned for each call there, so nothing is said of how long a plan serves.
SELECT
    set_config('jit', 'off', true),
    set_config('enable_seqscan', 'off', true),
    set_config('enable_bitmapscan', 'off', true),
    set_config('enable_partition_pruning', 'off', true),
    set_config('lock_timeout', '800ms', true),
    set_config('idle_in_transaction_session_timeout', '10s', true)
