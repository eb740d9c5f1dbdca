-- The partitions of usage that hold nothing from a moment on, oldest first: how much is in each, and which of its calls
-- are not finished.
WITH partition AS (
    SELECT
        c.oid,
        c.relname::text AS name,
        to_date(substring(c.relname FROM 7), 'YYYYMM') AS month,
        pg_total_relation_size(c.oid) AS bytes
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'jangbu.usage'::regclass
),
bounded AS (
    SELECT
        p.oid, p.name, p.month, p.bytes,
        jangbu.uuid7_floor(p.month::timestamp AT TIME ZONE 'UTC') AS first,
        jangbu.uuid7_floor((p.month + interval '1 month') AT TIME ZONE 'UTC') AS next
    FROM partition AS p
    WHERE (p.month + interval '1 month') AT TIME ZONE 'UTC' <= $1::timestamptz
),
counted AS (
    SELECT u.tableoid, count(*) AS records
    FROM jangbu.usage AS u
    WHERE u.id < jangbu.uuid7_floor($1::timestamptz)
    GROUP BY u.tableoid
)
SELECT
    b.name,
    b.month,
    coalesce(c.records, 0) AS records,
    b.bytes,
    (
        SELECT count(*)
        FROM jangbu.findings AS f
        WHERE f.kind = 'unpriced' AND f.resolved_at IS NULL AND f.usage_id >= b.first AND f.usage_id < b.next
    ) AS unpriced,
    (
        SELECT count(*)
        FROM jangbu.holds AS h
        WHERE h.state IN ('open', 'unknown') AND h.id >= b.first AND h.id < b.next
    ) AS held
FROM bounded AS b
LEFT JOIN counted AS c ON c.tableoid = b.oid
ORDER BY b.month
