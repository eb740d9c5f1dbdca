-- The users who used most, by tokens or by cost.
SELECT
    a.user_id,
    sum(r.calls)::bigint AS calls,
    sum(r.prompt + r.tool)::bigint AS prompt_tokens,
    sum(r.candidates + r.thoughts)::bigint AS completion_tokens,
    sum(r.cached)::bigint AS cached_tokens,
    sum(r.total)::bigint AS total_tokens,
    sum(r.cost_nano)::bigint AS cost_nano,
    sum(r.input_cost_nano)::bigint AS input_cost_nano,
    sum(r.charge_nano)::bigint AS charge_nano,
    sum(r.unpriced)::bigint AS unpriced
FROM (
    SELECT
        t.account_id,
        t.calls, t.prompt, t.candidates, t.thoughts, t.tool, t.cached, t.total, t.cost_nano, t.input_cost_nano,
        t.charge_nano, t.unpriced
    FROM jangbu.usage_lifetime AS t
    UNION ALL
    SELECT
        n.account_id,
        n.calls, n.prompt, n.candidates, n.thoughts, n.tool, n.cached, n.total, n.cost_nano, n.input_cost_nano,
        n.charge_nano, n.unpriced
    FROM jangbu.usage_recent AS n
) AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE a.project = $1::text
GROUP BY a.account_id, a.user_id
ORDER BY CASE WHEN $2::boolean THEN sum(r.cost_nano) ELSE sum(r.total) END DESC, a.user_id
LIMIT $3::integer
