-- Forgets holds that were given back 400 days ago: until then they are counted among the calls that were not deducted, and
-- nothing repeats a call's hold as late as that.
WITH old AS (
    SELECT h.account_id, h.id
    FROM jangbu.holds AS h
    WHERE h.state IN ('released', 'expired') AND h.closed_at < clock_timestamp() - interval '400 days'
    LIMIT $1::integer
),
gone AS (
    DELETE FROM jangbu.holds AS h
    USING old AS o
    WHERE h.account_id = o.account_id AND h.id = o.id AND h.state IN ('released', 'expired')
    RETURNING h.id
)
SELECT count(*) FROM gone
