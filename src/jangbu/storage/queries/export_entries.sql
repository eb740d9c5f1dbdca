-- The next entries of an asset of some accounts, each from the one after a given number, oldest first: for each account
-- a walk up the primary key that ends at the limit.
SELECT
    w.account_id, e.seq, e.created_at, e.kind, e.delta, e.balance_after, e.posting, e.reference, e.reason, e.key
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS w (account_id, after, place)
CROSS JOIN LATERAL (
    SELECT n.seq, n.created_at, n.kind, n.delta, n.balance_after, n.posting, n.reference, n.reason, n.key
    FROM jangbu.entries AS n
    WHERE n.account_id = w.account_id AND n.asset = $3::smallint AND n.seq > w.after
    ORDER BY n.seq
    LIMIT $4::integer
) AS e
ORDER BY w.place, e.seq
