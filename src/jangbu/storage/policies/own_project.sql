-- Lets one role read and write the rows of one project, and of no other: the role that Jangbu itself connects as. It owns
-- nothing and may change no table. Every table of the schema is either somebody's, and then has a policy, or nobody's,
-- and then is named here: one that is neither stops this. After an upgrade that made tables or views it is run again.
DO $policies$
DECLARE
    worker text := current_setting('jangbu.policy_role');
    project text := current_setting('jangbu.policy_project');
    policy text := format('jangbu own project as %s', worker);
    -- One row by the primary key of accounts, whose own policy tells which there are for this role. Not EXISTS, which may
    -- be planned as a list of all accounts.
    account text := '(SELECT true FROM jangbu.accounts AS owner WHERE owner.account_id = %1$I.account_id)';
    of_project text := format('project = %L', project);
    relation record;
    seen text;
    kept text;
    verbs text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA jangbu TO %I', worker);
    IF EXISTS (
        SELECT FROM pg_roles AS r
        JOIN pg_class AS c ON c.oid = 'jangbu.accounts'::regclass
        WHERE r.rolname = worker AND (r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, c.relowner, 'MEMBER'))
    ) THEN
        RAISE EXCEPTION 'role % passes every policy: it is a superuser, has BYPASSRLS or may be the tables'' owner', worker;
    END IF;

    -- Tells of an account that this role does not see whether it is there all the same: a key may be taken before the
    -- account is opened that it is for, and not where the account is another project's.
    CREATE OR REPLACE FUNCTION jangbu.account_is_there(id uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'SELECT EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.account_id = id)';
    -- Partitions are their owner's, whoever comes to need the next one.
    ALTER FUNCTION jangbu.usage_partition_make(timestamptz) SECURITY DEFINER SET search_path = pg_catalog, pg_temp;
    -- A backup without privileges does not tell whose these are to execute.
    REVOKE EXECUTE ON FUNCTION jangbu.usage_partition_make(timestamptz), jangbu.account_is_there(uuid),
        jangbu.follow_project_hours() FROM PUBLIC;
    EXECUTE format(
        'GRANT EXECUTE ON FUNCTION jangbu.usage_partition_make(timestamptz), jangbu.account_is_there(uuid) TO %I', worker
    );

    FOR relation IN
        SELECT
            c.oid,
            c.relname::text AS name,
            c.relkind = 'v' AS is_view,
            coalesce('security_barrier=true' = ANY (c.reloptions), false) AS is_barrier,
            coalesce(bool_or(a.attname = 'project'), false) AS has_project,
            coalesce(bool_or(a.attname = 'account_id'), false) AS has_account,
            coalesce(bool_or(a.attname = 'key_id'), false) AS has_key
        FROM pg_class AS c
        LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        -- A partition is reached through its parent alone.
        WHERE c.relnamespace = 'jangbu'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
            AND NOT c.relispartition
        GROUP BY c.oid, c.relname, c.relkind, c.reloptions
    LOOP
        EXECUTE format('REVOKE ALL ON jangbu.%I FROM %I', relation.name, worker);
        IF relation.is_view THEN
            -- A view shows what whoever asks may see, and not what its owner may; a barrier asks for that itself.
            IF NOT relation.is_barrier THEN
                EXECUTE format('ALTER VIEW jangbu.%I SET (security_invoker = true)', relation.name);
            END IF;
            EXECUTE format('GRANT SELECT ON jangbu.%I TO %I', relation.name, worker);
            CONTINUE;
        END IF;
        verbs := CASE
            WHEN relation.name IN ('schema_revision', 'unfinished', 'usage_sealed', 'postings_sealed') THEN 'SELECT'
            -- What is there already is never changed.
            WHEN relation.name IN ('models', 'services', 'audit', 'entries', 'price_versions') THEN 'SELECT, INSERT'
            ELSE 'SELECT, INSERT, UPDATE, DELETE'
        END;
        EXECUTE format('GRANT %s ON jangbu.%I TO %I', verbs, relation.name, worker);
        CONTINUE WHEN relation.name IN ('schema_revision', 'unfinished', 'models', 'services');
        seen := CASE
            WHEN relation.has_project THEN of_project
            WHEN relation.has_account THEN format(account, relation.name)
            WHEN relation.has_key THEN
                format('(SELECT true FROM jangbu.api_keys AS owner WHERE owner.key_id = %I.key_id)', relation.name)
        END;
        kept := CASE
            WHEN relation.name = 'accounts' OR NOT relation.has_account THEN seen
            -- A row that says whose it is may be of no account; whose account is another's is another's.
            WHEN relation.has_project THEN
                format('%s AND (account_id IS NULL OR %s)', of_project, format(account, relation.name))
            -- What opens an account opens its balance in the same statement, which does not see the account yet. Every
            -- account has its balance of tokens from then on, so no other one's can be made this way.
            WHEN relation.name = 'balances' THEN format(
                'coalesce(%s, asset = 1 AND granted = 0 AND used = 0 AND held = 0 AND version = 0 AND head = '''''
                ' AND seen_at IS NULL AND NOT is_listed)', format(account, relation.name)
            )
            ELSE seen
        END;
        IF relation.name = 'idempotency_keys' THEN
            -- What is done for the whole project has its keys under the project's own id; and what opens an account may
            -- have taken its key before.
            seen := format(
                'account_id = %L OR %s OR NOT jangbu.account_is_there(account_id)',
                current_setting('jangbu.policy_project_id'), seen
            );
            kept := seen;
        END IF;
        IF seen IS NULL THEN
            RAISE EXCEPTION 'table jangbu.% has neither a project nor an account: whose rows they are is not known',
                relation.name;
        END IF;
        EXECUTE format('ALTER TABLE jangbu.%I ENABLE ROW LEVEL SECURITY', relation.name);
        EXECUTE format('DROP POLICY IF EXISTS %I ON jangbu.%I', policy, relation.name);
        EXECUTE format(
            'CREATE POLICY %I ON jangbu.%I FOR ALL TO %I USING (%s) WITH CHECK (%s)', policy, relation.name, worker,
            seen, kept
        );
    END LOOP;
END
$policies$;
