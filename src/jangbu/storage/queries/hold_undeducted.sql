-- How many holds were taken in a time, by model, whose calls were not deducted: their outcome is not known, or they were
-- given back. All of that is read from an index of its own, which has nothing of the calls that went well. The model is the
-- one that was called for. Whose account it is is looked up only where there are other projects. The mark of a hold that was
-- never taken (hold_release.sql) is no call: it has neither an owner nor a service, of which the index has the service.
WITH sole AS MATERIALIZED (
    SELECT
        NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project < $1::text)
        AND NOT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.project > $1::text) AS is_alone
)
SELECT h.model, count(*) AS calls
FROM jangbu.holds AS h
WHERE h.state IN ('unknown', 'released', 'expired')
    AND h.service <> ''
    AND h.taken_at >= $2::timestamptz AND h.taken_at < $3::timestamptz
    AND ($4::uuid IS NULL OR h.account_id = $4::uuid)
    AND ($5::text[] IS NULL OR h.model = ANY ($5::text[]))
    AND ($6::text[] IS NULL OR h.service = ANY ($6::text[]))
    AND (
        (SELECT o.is_alone FROM sole AS o)
        OR (SELECT a.project FROM jangbu.accounts AS a WHERE a.account_id = h.account_id) = $1::text
    )
GROUP BY h.model
