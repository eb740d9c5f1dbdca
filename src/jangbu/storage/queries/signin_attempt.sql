-- Counts an attempt to sign in before its password is looked at, so that a thousand at once are a thousand failures and
-- not one; who succeeds has it taken back. While the lock lasts an attempt is not let in and does not count. From the
-- so-many-th failure on ($4) each one locks twice as long as the one before, up to a bound ($5 seconds); after a day
-- without any ($6 seconds) all are forgotten. One moment is meant throughout, that of the statement's beginning: who waited
-- for the others' row is refused by their lock.
INSERT INTO jangbu.sign_in_failures AS f (project, kind, digest, failures, failed_at, locked_until, was_admitted)
VALUES ($1::text, $2::text, $3::bytea, 1, statement_timestamp(), statement_timestamp(), TRUE)
ON CONFLICT (project, kind, digest) DO UPDATE SET
    was_admitted = f.locked_until <= statement_timestamp(),
    failures = CASE
        WHEN f.locked_until > statement_timestamp() THEN f.failures
        WHEN f.failed_at <= statement_timestamp() - $6::integer * interval '1 second' THEN 1
        ELSE f.failures + 1
    END,
    failed_at = CASE WHEN f.locked_until > statement_timestamp() THEN f.failed_at ELSE statement_timestamp() END,
    locked_until = CASE
        WHEN f.locked_until > statement_timestamp() THEN f.locked_until
        WHEN f.failed_at <= statement_timestamp() - $6::integer * interval '1 second' THEN statement_timestamp()
        WHEN f.failures + 1 < $4::integer THEN statement_timestamp()
        ELSE statement_timestamp()
            + least($5::integer, (2 ^ least(f.failures + 1 - $4::integer, 20))::integer) * interval '1 second'
    END
RETURNING
    f.was_admitted, f.failures,
    ceil(greatest(0, extract(EPOCH FROM f.locked_until - statement_timestamp())))::integer AS wait_seconds
