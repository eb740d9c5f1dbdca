-- Notes how far the entries of accounts were verified: up to the last one that is older than a moment. From a checkpoint
-- on, what later entries granted and used is added to what was verified.
INSERT INTO jangbu.verified_balances AS w (account_id, asset, seq, hash, granted, used)
SELECT
    b.account_id,
    b.asset,
    coalesce(o.seq, v.seq, 0),
    coalesce(e.hash, v.hash, ''),
    coalesce(v.granted, 0) + coalesce(e.granted, 0),
    coalesce(v.used, 0) + coalesce(e.used, 0)
FROM jangbu.balances AS b
LEFT JOIN jangbu.verified_balances AS v ON $2::boolean AND v.account_id = b.account_id AND v.asset = b.asset
LEFT JOIN LATERAL (
    SELECT max(n.seq) AS seq
    FROM jangbu.entries AS n
    WHERE n.account_id = b.account_id AND n.asset = b.asset AND n.seq > coalesce(v.seq, 0)
        AND n.created_at < $3::timestamptz
) AS o ON true
LEFT JOIN LATERAL (
    SELECT
        sum(-n.delta) FILTER (WHERE n.kind IN ('usage', 'overrun')) AS used,
        sum(n.delta) FILTER (WHERE n.kind NOT IN ('usage', 'overrun')) AS granted,
        decode(max(encode(n.hash, 'hex')) FILTER (WHERE n.seq = o.seq), 'hex') AS hash
    FROM jangbu.entries AS n
    WHERE n.account_id = b.account_id AND n.asset = b.asset AND n.seq > coalesce(v.seq, 0) AND n.seq <= o.seq
) AS e ON true
WHERE b.account_id = ANY ($1::uuid[])
ORDER BY b.account_id, b.asset
ON CONFLICT (account_id, asset) DO UPDATE
SET seq = excluded.seq, hash = excluded.hash, granted = excluded.granted, used = excluded.used
