-- Puts the new name of an erased user where lines of the audit say the old one, or what one of the user's keys was called.
-- No line is taken away.
WITH keys AS (
    SELECT coalesce(array_agg(n.key_id), '{}') AS ids FROM jangbu.api_keys AS n WHERE n.account_id = $4::uuid
),
meant AS (
    SELECT
        a.audit_id,
        a.target = 'account:' || $2::text AS is_of_account,
        a.after ->> 'user' = $2::text AS says_user,
        a.target = ANY(SELECT 'key:' || i.id FROM unnest(k.ids) AS i (id)) AS is_of_key,
        a.actor_id = ANY(k.ids) AS is_by_key
    FROM jangbu.audit AS a
    CROSS JOIN keys AS k
    WHERE a.project = $1::text
)
UPDATE jangbu.audit AS a
SET
    target = CASE WHEN m.is_of_account THEN 'account:' || $3::text ELSE a.target END,
    after = a.after
        || CASE WHEN m.says_user THEN jsonb_build_object('user', $3::text) ELSE '{}' END
        || CASE WHEN m.is_of_key THEN jsonb_build_object('name', $3::text) ELSE '{}' END,
    actor_name = CASE WHEN m.is_by_key THEN $3::text ELSE a.actor_name END
FROM meant AS m
WHERE a.audit_id = m.audit_id AND (m.is_of_account OR m.says_user OR m.is_of_key OR m.is_by_key)
