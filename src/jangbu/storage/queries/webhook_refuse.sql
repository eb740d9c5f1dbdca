-- Counts calls that balances did not cover. Rows are moved in order, so nodes never deadlock.
INSERT INTO jangbu.refused_calls AS r (account_id, project, calls, since)
SELECT a.account_id, a.project, i.calls, i.since
FROM unnest($2::uuid[], $3::bigint[], $4::timestamptz[]) AS i (account_id, calls, since)
JOIN jangbu.accounts AS a ON a.account_id = i.account_id AND a.project = $1::text
ORDER BY a.account_id
ON CONFLICT (account_id) DO UPDATE
SET calls = r.calls + excluded.calls,
    since = CASE WHEN r.calls = 0 THEN excluded.since ELSE r.since END
