-- What a list shows of users: state, whether a finding is open, balance, when they were last seen, and all that they ever
-- used.
SELECT
    a.account_id, a.user_id, a.state, b.granted, b.used, b.held, b.seen_at,
    EXISTS (
        SELECT FROM jangbu.findings AS f WHERE f.account_id = a.account_id AND f.resolved_at IS NULL
    ) AS is_anomalous,
    t.calls, t.input_tokens, t.output_tokens, t.thinking_tokens, t.cached_tokens, t.total_tokens,
    t.cost_nano, t.input_cost_nano, t.charge_nano, t.unpriced
FROM jangbu.accounts AS a
JOIN jangbu.balances AS b ON b.account_id = a.account_id AND b.asset = 1
CROSS JOIN LATERAL (
    SELECT
        jangbu.sum(r.calls) AS calls,
        jangbu.sum(r.prompt + r.tool) AS input_tokens,
        jangbu.sum(r.candidates) AS output_tokens,
        jangbu.sum(r.thoughts) AS thinking_tokens,
        jangbu.sum(r.cached) AS cached_tokens,
        jangbu.sum(r.total) AS total_tokens,
        jangbu.sum(r.cost_nano) AS cost_nano,
        jangbu.sum(r.input_cost_nano) AS input_cost_nano,
        jangbu.sum(r.charge_nano) AS charge_nano,
        jangbu.sum(r.unpriced) AS unpriced
    FROM (
        SELECT
            l.calls, l.prompt, l.tool, l.candidates, l.thoughts, l.cached, l.total, l.cost_nano, l.input_cost_nano,
            l.charge_nano, l.unpriced
        FROM jangbu.usage_lifetime AS l
        WHERE l.account_id = a.account_id
        UNION ALL
        SELECT
            n.calls, n.prompt, n.tool, n.candidates, n.thoughts, n.cached, n.total, n.cost_nano, n.input_cost_nano,
            n.charge_nano, n.unpriced
        FROM jangbu.usage_recent AS n
        WHERE n.account_id = a.account_id
    ) AS r
) AS t
WHERE a.account_id = ANY ($1::uuid[])
