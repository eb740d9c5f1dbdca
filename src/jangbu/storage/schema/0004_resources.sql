-- What lives at the provider and belongs to one user: files, caches, batches, operations, interactions, and uploads
-- under way. The provider knows only the app, so who owns what is written here. call_id names the call whose hold waits
-- for a result that comes later, settled_at when that result was seen; a batch and the file of its results wait for the
-- same call. target is where an upload goes on at the provider.
CREATE TYPE jangbu.resource_kind AS ENUM ('file', 'cache', 'batch', 'operation', 'interaction', 'upload');

CREATE TABLE jangbu.resources (
    account_id uuid NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 300),
    kind jangbu.resource_kind NOT NULL,
    call_id uuid,
    service text,
    model text,
    metadata jsonb,
    target text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at timestamptz,
    expires_at timestamptz,
    PRIMARY KEY (account_id, name),
    CHECK (call_id IS NULL OR service IS NOT NULL AND model IS NOT NULL)
);
CREATE INDEX resources_by_name ON jangbu.resources (name);
CREATE INDEX resources_by_kind ON jangbu.resources (account_id, kind, created_at, name);
CREATE INDEX resources_by_call ON jangbu.resources (account_id, call_id)
WHERE call_id IS NOT NULL AND settled_at IS NULL;
CREATE INDEX resources_by_expiry ON jangbu.resources (expires_at)
WHERE expires_at IS NOT NULL AND (call_id IS NULL OR settled_at IS NOT NULL);

-- What is there, with whose it is. What a call waits for does not expire: it leads from the result to the hold.
CREATE VIEW jangbu.living_resources AS
SELECT
    r.account_id, r.name, r.kind, r.call_id, r.service, r.model, r.metadata, r.target, r.created_at, r.settled_at,
    a.project, a.user_id
FROM jangbu.resources AS r
JOIN jangbu.accounts AS a ON a.account_id = r.account_id
WHERE r.expires_at IS NULL
    OR r.expires_at > clock_timestamp()
    OR (r.call_id IS NOT NULL AND r.settled_at IS NULL);
