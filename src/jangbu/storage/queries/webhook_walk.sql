-- Takes the next page of all balances, by their key, for whoever comes when it is due; a round begins anew a while ($3)
-- after the last one ended. So what no process saw happen, or died before it told, is found by one of them. Gives the
-- accounts whose balances moved within a day.
WITH turn AS (
    SELECT w.project, w.after
    FROM jangbu.webhook_walks AS w
    WHERE w.project = $1::text AND w.due_at <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
),
page AS MATERIALIZED (
    SELECT p.account_id, p.updated_at
    FROM turn AS t
    CROSS JOIN LATERAL (
        SELECT b.account_id, b.updated_at
        FROM jangbu.balances AS b
        WHERE b.account_id > t.after AND b.asset = 1
        ORDER BY b.account_id
        LIMIT $2::integer
    ) AS p
),
ended AS (
    SELECT
        count(*) < $2::integer AS is_over,
        (array_agg(p.account_id ORDER BY p.account_id DESC))[1] AS last
    FROM page AS p
),
moved AS (
    UPDATE jangbu.webhook_walks AS w
    SET after = CASE WHEN e.is_over THEN '00000000-0000-0000-0000-000000000000'::uuid ELSE e.last END,
        due_at = clock_timestamp() + CASE WHEN e.is_over THEN $3::integer ELSE 0 END * interval '1 second'
    FROM turn AS t
    CROSS JOIN ended AS e
    WHERE w.project = t.project
)
SELECT p.account_id
FROM page AS p
WHERE p.updated_at > clock_timestamp() - interval '1 day'
