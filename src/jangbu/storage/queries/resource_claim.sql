-- Writes down whose a resource at the provider is, unless it is somebody else's of the same project: the provider's
-- names are unique there. A repetition changes nothing but how long the resource lives and what is known of its content,
-- which may be another by now; a call that waits is kept. A name whose time was up, or that was forgotten, may be
-- anybody's again. One row comes back where the account exists, without a name where the resource is another's. There is
-- no unique index on the name, because keys begin with the account: two accounts cannot claim one new name at one
-- moment, because the provider hands it out once.
WITH account AS (
    SELECT account_id, project, user_id
    FROM jangbu.accounts
    WHERE account_id = $1::uuid AND project = $2::text
),
claimed AS (
    INSERT INTO jangbu.resources AS r (
        account_id, name, kind, call_id, service, model, metadata, target, expires_at, key_id,
        begun_by_app
    )
    SELECT
        a.account_id, $3::text, $4::text::jangbu.resource_kind, $5::uuid, $6::text, $7::text, $8::text::jsonb, $9::text,
        clock_timestamp() + $10::integer * interval '1 second', $11::uuid, $12::boolean
    FROM account AS a
    WHERE NOT EXISTS (
        SELECT FROM jangbu.living_resources AS o
        WHERE o.name = $3::text AND o.account_id <> a.account_id AND o.project = a.project
    )
    ON CONFLICT (account_id, name) DO UPDATE
    SET kind = excluded.kind,
        call_id = coalesce(excluded.call_id, r.call_id),
        service = coalesce(excluded.service, r.service),
        model = coalesce(excluded.model, r.model),
        metadata = CASE
            WHEN excluded.call_id IS NULL AND r.call_id IS NOT NULL THEN r.metadata ELSE excluded.metadata
        END,
        key_id = CASE WHEN excluded.call_id IS NULL THEN r.key_id ELSE excluded.key_id END,
        begun_by_app = CASE WHEN excluded.call_id IS NULL THEN r.begun_by_app ELSE excluded.begun_by_app END,
        target = excluded.target,
        created_at = CASE WHEN r.expires_at <= clock_timestamp() THEN excluded.created_at ELSE r.created_at END,
        settled_at = CASE WHEN coalesce(excluded.call_id = r.call_id, excluded.call_id IS NULL) THEN r.settled_at END,
        expires_at = excluded.expires_at
    RETURNING
        account_id, name, kind, call_id, service, model, metadata, key_id, target, created_at, settled_at, size,
        begun_by_app
)
SELECT
    a.account_id, a.user_id, c.name, c.kind, c.call_id, c.service, c.model, c.metadata, c.key_id, c.target,
    c.created_at, c.settled_at, c.size, c.begun_by_app
FROM account AS a
LEFT JOIN claimed AS c ON c.account_id = a.account_id
