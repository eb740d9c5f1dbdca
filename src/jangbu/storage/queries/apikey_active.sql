-- Whether a key is in force at this moment, for what goes on without showing its secret.
SELECT EXISTS (
    SELECT FROM jangbu.api_keys AS k
    WHERE k.project = $1::text
        AND k.key_id = $2::uuid
        AND k.revoked_at IS NULL
        AND (k.expires_at IS NULL OR k.expires_at > clock_timestamp())
)
