-- One writer of a project's price books at a time, so that two processes that start at once agree on one version. It is
-- waited for longer than balances are: no call waits for it, and to make a book of another one takes its time.
SELECT
    set_config('lock_timeout', '10s', true),
    pg_advisory_xact_lock(hashtextextended('jangbu.price_versions:' || $1::text, 0))
