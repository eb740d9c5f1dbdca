-- One writer of a project's price books at a time, so that two processes that start at once agree on one version.
SELECT pg_advisory_xact_lock(hashtextextended('jangbu.price_versions:' || $1::text, 0))
