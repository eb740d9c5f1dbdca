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
FROM jangbu.usage_total AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE a.project = $1::text
GROUP BY a.account_id, a.user_id
ORDER BY CASE WHEN $2::boolean THEN sum(r.cost_nano) ELSE sum(r.total) END DESC, a.user_id
LIMIT $3::integer
