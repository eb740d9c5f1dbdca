-- How many users of a project called since a moment. Where the directory is not up to date, its word is taken back and
-- that of the balance is counted.
SELECT (
    SELECT count(*)
    FROM jangbu.directory AS d
    WHERE d.project = $1::text AND d.seen_ms >= (extract(epoch FROM $2::timestamptz) * 1000)::bigint
) + (
    SELECT
        count(*) FILTER (WHERE b.seen_at >= $2::timestamptz)
        - count(*) FILTER (WHERE d.seen_ms >= (extract(epoch FROM $2::timestamptz) * 1000)::bigint)
    FROM jangbu.balances AS b
    JOIN jangbu.accounts AS a ON a.account_id = b.account_id
    LEFT JOIN jangbu.directory AS d ON d.account_id = b.account_id
    WHERE b.asset = 1 AND NOT b.is_listed AND a.project = $1::text
)
