-- Counts calls that balances did not cover, by user and minute. Rows are moved in order, so nodes never deadlock.
INSERT INTO jangbu.refused_minutes AS r (project, at, account_id, calls)
SELECT a.project, i.at, a.account_id, i.calls
FROM unnest($2::timestamptz[], $3::uuid[], $4::bigint[]) AS i (at, account_id, calls)
JOIN jangbu.accounts AS a ON a.account_id = i.account_id AND a.project = $1::text
ORDER BY i.at, a.account_id
ON CONFLICT (project, at, account_id) DO UPDATE
SET calls = r.calls + excluded.calls
