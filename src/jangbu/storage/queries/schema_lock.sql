-- One migrator at a time; the lock ends with the transaction, so a migrator that dies leaves nothing behind.
SELECT pg_advisory_xact_lock(hashtextextended('jangbu.schema', 0))
