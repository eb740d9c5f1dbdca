-- A project with a million users, and some hundred thousand rows of everything that lies beside the calls: what lists are
-- measured on. Accounts, services and models are there already, and `crowd` says which account has which number. Figures
-- are not those of a sound book: nothing here is added up.
INSERT INTO jangbu.balances (account_id, asset, granted, used, version, seen_at, is_listed)
SELECT
    c.account_id, 1, 20000000000 / c.number + 1000 * (c.number % 11), 20000000000 / c.number, 2,
    CASE WHEN c.number % 10 > 0 THEN now() - (c.number::bigint * 7919 % 10368000) * interval '1 second' END,
    c.number % 10000 > 0
FROM crowd AS c;
INSERT INTO jangbu.directory (account_id, project, user_id, used, left_over, seen_ms)
SELECT
    b.account_id, 'default', c.user_id, b.used, b.granted - b.used,
    coalesce((extract(epoch FROM b.seen_at) * 1000)::bigint, 0)
FROM jangbu.balances AS b JOIN crowd AS c USING (account_id);
INSERT INTO jangbu.usage_lifetime (
    account_id, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    c.account_id, 1, 1 + c.number % 3, 1 + 2000000 / c.number, t.used / 2, t.used / 2, 0, 0, 0, t.used, t.used * 900,
    t.used * 300, t.used * 900, 0
FROM crowd AS c CROSS JOIN LATERAL (SELECT 20000000000 / c.number AS used) AS t;
-- Each day of the last 90, ten thousand users; every tenth user called on one of these days, and on each tenth one.
CREATE UNLOGGED TABLE crowd_day AS
SELECT
    c.account_id, current_date - d.ago AS day, d.ago,
    (current_date - d.ago)::timestamp AT TIME ZONE 'UTC' + (n.number % 96) * interval '15 minutes' AS at,
    20000000 / (1 + n.number)::bigint + 1000 AS total
FROM generate_series(1, 90) AS d (ago)
CROSS JOIN generate_series(0, 9999) AS n (number)
JOIN crowd AS c ON c.number = 1 + n.number * 10 + d.ago % 10;
INSERT INTO jangbu.usage_days (
    account_id, project, day, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano, input_cost_nano,
    charge_nano, unpriced, calls_class, total_class, cost_class
)
SELECT
    account_id, 'default', day, 10, total / 2, total / 2, 0, 0, 0, total, total * 900, total * 300, total * 900, 0,
    jangbu.class_of_size(10), jangbu.class_of_size(total), jangbu.class_of_size(total * 900)
FROM crowd_day;
INSERT INTO jangbu.usage_quarters (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT account_id, at, 1, 1, 10, total / 2, total / 2, 0, 0, 0, total, total * 900, total * 300, total * 900, 0
FROM crowd_day;
INSERT INTO jangbu.usage_hours (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    account_id, date_trunc('hour', at, 'UTC'), 1, 1, 10, total / 2, total / 2, 0, 0, 0, total, total * 900, total * 300,
    total * 900, 0
FROM crowd_day;
INSERT INTO jangbu.usage_six_hours (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    account_id, date_bin('6 hours', at, '2000-01-01Z'), 1, 1, 10, total / 2, total / 2, 0, 0, 0, total, total * 900, total * 300,
    total * 900, 0
FROM crowd_day;
INSERT INTO jangbu.usage_recent (
    account_id, at, service_id, model_id, calls, prompt, candidates, thoughts, tool, cached, total, cost_nano,
    input_cost_nano, charge_nano, unpriced
)
SELECT
    account_id, date_bin('15 minutes', now(), '2000-01-01Z'), 1, 1, 1, 50, 50, 0, 0, 0, 100, 900, 300, 900, 0
FROM crowd WHERE number % 500 = 0;
DROP TABLE crowd_day;
-- The first user's entries, each of one call: three hundred thousand of the last 90 days.
INSERT INTO jangbu.usage (
    account_id, id, service_id, model_id, surface, platform, tier, source, prompt, candidates, thoughts, tool, cached,
    total, cost_nano, input_cost_nano, charge_nano, price_version, posting, raw, recorded_at
)
SELECT
    c.account_id,
    overlay(jangbu.uuid7_floor(a.at)::text PLACING '7000-8000-' || lpad(to_hex(n.number), 12, '0') FROM 15)::uuid,
    1, 1, 'generate_content', 'gemini_api', 'standard', 'reported', 50, 50, 0, 0, 0, 100, 90000, 30000, 90000, 1,
    n.number, '{}', a.at
FROM generate_series(1, 300000) AS n (number)
JOIN crowd AS c ON c.number = 1
CROSS JOIN LATERAL (SELECT now() - (300000 - n.number) * interval '25.9 seconds' AS at) AS a;
INSERT INTO jangbu.idempotency_keys (account_id, key, digest, result_id)
SELECT u.account_id, 'answer:' || md5(u.posting::text), '', u.id FROM jangbu.usage AS u;
INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, posting, created_at)
SELECT u.account_id, 1, u.posting + 1, 'usage', -u.total, 0, u.posting, u.recorded_at FROM jangbu.usage AS u;
INSERT INTO jangbu.entries (account_id, asset, seq, kind, delta, balance_after, created_at)
SELECT c.account_id, 1, 1, 'grant', 100, 100, now() - interval '90 days' FROM crowd AS c WHERE c.number = 1;
UPDATE jangbu.balances SET version = 300001
WHERE asset = 1 AND account_id = (SELECT account_id FROM crowd WHERE number = 1);
-- Findings: of ten one is open, and those lie among the older ones as well as among the newer; a hundred are acknowledged.
INSERT INTO jangbu.findings (
    account_id, usage_id, kind, detail, created_at, resolved_at, resolved_by, resolution, acknowledged_at,
    acknowledged_by, alerted_at, told_at
)
SELECT
    c.account_id, gen_random_uuid(),
    (ARRAY['unpriced', 'overrun', 'late', 'partial', 'anomaly'])[1 + n.number % 5]::jangbu.finding_kind, 'made up',
    w.at, CASE WHEN n.number % 10 < 9 THEN w.at + interval '1 hour' END, CASE WHEN n.number % 10 < 9 THEN 'somebody' END,
    CASE WHEN n.number % 10 < 9 THEN 'looked at' END, CASE WHEN n.number % 3000 = 9 THEN w.at END,
    CASE WHEN n.number % 3000 = 9 THEN 'somebody' END, w.at, w.at
FROM generate_series(1, 300000) AS n (number)
JOIN crowd AS c ON c.number = 1 + n.number * 3 % 1000000
CROSS JOIN LATERAL (SELECT now() - n.number * interval '26 seconds' AS at) AS w;
-- Holds: of calls without a deduction, and some of calls under way.
INSERT INTO jangbu.holds (
    account_id, id, amount, state, may_have_left, service, model, owner, taken_at, expires_at, closed_at
)
SELECT
    c.account_id, gen_random_uuid(), 1000, k.state::jangbu.hold_state, true,
    'service-' || n.number % 5, CASE WHEN n.number % 10000 = 0 THEN 'seldom' ELSE 'model-' || n.number % 7 END, 'made-up',
    w.at, w.at + interval '10 minutes', CASE WHEN k.state IN ('released', 'expired') THEN w.at + interval '1 minute' END
FROM generate_series(1, 302000) AS n (number)
JOIN crowd AS c ON c.number = 1 + n.number % 100000
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN n.number <= 2000 THEN 'open'
        WHEN n.number % 1000 = 0 THEN 'unknown'
        WHEN n.number % 2 = 0 THEN 'released'
        ELSE 'expired'
    END AS state
) AS k
CROSS JOIN LATERAL (SELECT now() - n.number * interval '25.7 seconds' AS at) AS w;
INSERT INTO jangbu.refused_minutes (project, at, account_id, calls)
SELECT
    'default', date_trunc('minute', now() - n.number * interval '26 seconds'), c.account_id, 3
FROM generate_series(1, 300000) AS n (number)
JOIN crowd AS c ON c.number = 1 + n.number % 10007;
INSERT INTO jangbu.alerts (
    id, project, condition, phase, key, node, facts, raised_at, created_at, due_at, attempts, delivered_to, errors,
    delivered_at, given_up_at
)
SELECT
    gen_random_uuid(), 'default', 'unpriced', 'began', 'made-up', 'node', '{}', w.at, w.at, w.at, 1,
    CASE WHEN d.is_delivered THEN ARRAY['mail'] ELSE '{}' END,
    CASE WHEN d.is_delivered THEN '{}'::jsonb ELSE '{"mail": "refused"}' END, CASE WHEN d.is_delivered THEN w.at END,
    CASE WHEN NOT d.is_delivered THEN w.at + interval '1 day' END
FROM generate_series(1, 300000) AS n (number)
CROSS JOIN LATERAL (SELECT now() - n.number * interval '8.6 seconds' AS at) AS w
CROSS JOIN LATERAL (SELECT n.number % 100 <> 99 AS is_delivered) AS d;
INSERT INTO jangbu.webhook_events (
    id, project, kind, user_id, facts, created_at, due_at, gives_up_at, turn, attempts, error, delivered_at, given_up_at
)
SELECT
    gen_random_uuid(), 'default', CASE WHEN n.number % 10000 = 0 THEN 'record.failed' ELSE 'balance.low' END, c.user_id,
    '{}', w.at, w.at, w.at + interval '1 day', 1, 1, CASE WHEN NOT d.is_delivered THEN 'refused' END,
    CASE WHEN d.is_delivered THEN w.at END, CASE WHEN NOT d.is_delivered THEN w.at + interval '1 day' END
FROM generate_series(1, 300000) AS n (number)
JOIN crowd AS c ON c.number = 1 + n.number % 20011
CROSS JOIN LATERAL (SELECT now() - n.number * interval '8.6 seconds' AS at) AS w
CROSS JOIN LATERAL (SELECT n.number % 100 <> 99 AS is_delivered) AS d;
INSERT INTO jangbu.members (member_id, project, name, known_as, role)
SELECT md5(number::text)::uuid, 'default', 'member-' || number, 'member-' || lpad(number::text, 4, '0'), 'viewer'
FROM generate_series(1, 1000) AS n (number);
INSERT INTO jangbu.audit (audit_id, project, at, actor_kind, actor_id, actor_name, action, target, after)
SELECT
    gen_random_uuid(), 'default', now() - number * interval '100 seconds', 'member', md5((1 + number % 1000)::text)::uuid,
    'member-' || 1 + number % 1000, 'account.grant', 'account:user-' || lpad((number % 5000)::text, 7, '0'), '{"amount": 1}'
FROM generate_series(1, 300000) AS n (number);
INSERT INTO jangbu.api_keys (key_id, project, kind, name, digest, hint, account_id, user_id, created_at)
SELECT
    gen_random_uuid(), 'default', 'user', 'made up', sha256(c.number::text::bytea), 'hint', c.account_id, c.user_id,
    now() - c.number * interval '10 seconds'
FROM crowd AS c WHERE c.number <= 300000;
INSERT INTO jangbu.price_versions (project, digest, book, note, created_at)
SELECT project, digest, book, 'the same again', created_at
FROM jangbu.price_versions CROSS JOIN generate_series(1, 200);
VACUUM ANALYZE
