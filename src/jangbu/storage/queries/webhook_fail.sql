-- Makes events of records that could not be made durable, under ids that were chosen before: to repeat it makes none twice.
INSERT INTO jangbu.webhook_events (id, project, kind, user_id, facts)
SELECT
    i.id, $1::text, 'record.failed', a.user_id,
    jsonb_build_object('call', i.usage_id, 'tokens', i.total)
FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::bigint[]) AS i (id, account_id, usage_id, total)
JOIN jangbu.accounts AS a ON a.account_id = i.account_id AND a.project = $1::text
ON CONFLICT DO NOTHING
