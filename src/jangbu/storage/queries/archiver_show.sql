-- Whether the log of changes is archived, how far, and since when it fails: a restore to a point in time depends on it.
SELECT
    current_setting('archive_mode') <> 'off' AS is_on,
    s.archived_count AS archived,
    s.last_archived_wal AS last_segment,
    s.last_archived_time AS last_at,
    s.failed_count AS failed,
    s.last_failed_time AS failed_at
FROM pg_catalog.pg_stat_archiver AS s
