-- Keys of the gateway. A key is known by the SHA-256 of its secret and by nothing else: the secret is shown once and
-- stored nowhere. A user's key names who pays; an app's key lets its caller name the user of each call. NULL limits
-- nothing; empty arrays of scopes and models allow nothing, NULL allows all.
CREATE TYPE jangbu.api_key_kind AS ENUM ('app', 'user');

CREATE TABLE jangbu.api_keys (
    key_id uuid PRIMARY KEY,
    project text NOT NULL,
    kind jangbu.api_key_kind NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint text NOT NULL CHECK (length(hint) BETWEEN 1 AND 32),
    account_id uuid,
    user_id text,
    scopes text[],
    models text[],
    requests_per_minute integer CHECK (requests_per_minute > 0),
    tokens_per_minute bigint CHECK (tokens_per_minute > 0),
    concurrent_calls integer CHECK (concurrent_calls > 0),
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    revoked_at timestamptz,
    CHECK ((kind = 'user') = (account_id IS NOT NULL)),
    CHECK ((kind = 'user') = (user_id IS NOT NULL))
);
CREATE INDEX api_keys_by_project ON jangbu.api_keys (project, created_at);
