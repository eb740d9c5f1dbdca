-- Members: people who sign in at the dashboard, by a password or by the word of an OpenID provider. known_as is the name
-- as it is looked up; password is an argon2id digest with its own parameters and salt. A member without either way in
-- was invited and has not come yet. Members are never deleted, because the audit names them; they are blocked.
CREATE TYPE jangbu.member_role AS ENUM ('owner', 'finance', 'developer', 'viewer');

CREATE TABLE jangbu.members (
    member_id uuid PRIMARY KEY,
    project text NOT NULL,
    name text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    known_as text NOT NULL,
    role jangbu.member_role NOT NULL,
    password text CHECK (password LIKE '$argon2id$%'),
    issuer text,
    subject text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_signed_in_at timestamptz,
    blocked_at timestamptz,
    CHECK ((issuer IS NULL) = (subject IS NULL))
);
CREATE UNIQUE INDEX members_by_name ON jangbu.members (project, known_as);
CREATE UNIQUE INDEX members_by_identity ON jangbu.members (project, issuer, subject) WHERE issuer IS NOT NULL;

-- Sign-ins that are in force. A session is known by the SHA-256 of its token; the token is in the browser and nowhere
-- else. All times are the database's.
CREATE TABLE jangbu.sessions (
    session_id uuid PRIMARY KEY,
    project text NOT NULL,
    member_id uuid NOT NULL,
    digest bytea NOT NULL UNIQUE CHECK (length(digest) = 32),
    csrf_secret bytea NOT NULL CHECK (length(csrf_secret) = 32),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_by_member ON jangbu.sessions (project, member_id);

-- Attempts to sign in that did not succeed, by the name that was typed and by the address that they came from. Both are
-- kept as digests: people type passwords into the field for the name. was_admitted tells of the latest attempt.
CREATE TABLE jangbu.sign_in_failures (
    project text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('name', 'address')),
    digest bytea NOT NULL CHECK (length(digest) = 32),
    failures integer NOT NULL CHECK (failures >= 0),
    failed_at timestamptz NOT NULL,
    locked_until timestamptz NOT NULL,
    was_admitted boolean NOT NULL,
    PRIMARY KEY (project, kind, digest)
);
CREATE INDEX sign_in_failures_by_time ON jangbu.sign_in_failures (project, failed_at);

-- Links by which a member chooses a password, once; known by the SHA-256 of their tokens. One without a member makes the
-- first owner.
CREATE TABLE jangbu.set_up_links (
    digest bytea PRIMARY KEY CHECK (length(digest) = 32),
    project text NOT NULL,
    member_id uuid,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX set_up_links_by_member ON jangbu.set_up_links (project, member_id);

-- Who did what to what, and when: rows are added and never changed. The names of who did it stand here as they were then.
CREATE TABLE jangbu.audit (
    audit_id uuid PRIMARY KEY,
    project text NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_kind text NOT NULL CHECK (actor_kind IN ('member', 'key', 'command', 'provider')),
    actor_id uuid,
    actor_name text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    before jsonb,
    after jsonb,
    request_id text,
    CHECK ((actor_kind IN ('command', 'provider')) = (actor_id IS NULL))
);
CREATE INDEX audit_by_time ON jangbu.audit (project, at, audit_id);
CREATE INDEX audit_by_actor ON jangbu.audit (project, actor_id, at, audit_id);
CREATE INDEX audit_by_target ON jangbu.audit (project, target, at, audit_id);
