-- Lets one role read rows of the ledger, and nothing else: its own account's, told by a claim of the JWT that the request
-- bears (as Supabase and PostgREST hand it on), or all of one project's where no claim is set; and of them the columns
-- that it is told. It never writes. Whoever owns the tables is not bound by this, so Jangbu itself works as before.
DO $policies$
DECLARE
    reader text := current_setting('jangbu.policy_role');
    claim text := nullif(current_setting('jangbu.policy_claim'), '');
    own text := format('project = %L', current_setting('jangbu.policy_project'));
    policy text := format('jangbu read own as %s', reader);
    named text;
    columns text;
BEGIN
    IF claim IS NOT NULL THEN
        -- Asked for once a statement and not once a row, so that the index of users finds the account.
        own := own || format(
            ' AND user_id = (SELECT nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> %L)', claim
        );
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA jangbu TO %I', reader);
    IF EXISTS (
        SELECT FROM pg_roles AS r
        JOIN pg_class AS c ON c.oid = 'jangbu.accounts'::regclass
        WHERE r.rolname = reader AND (r.rolsuper OR r.rolbypassrls OR pg_has_role(r.oid, c.relowner, 'MEMBER'))
    ) THEN
        RAISE EXCEPTION 'role % passes every policy: it is a superuser, has BYPASSRLS or may be the tables'' owner', reader;
    ELSIF EXISTS (
        SELECT FROM pg_policy AS p
        JOIN pg_roles AS r ON r.oid = ANY (p.polroles)
        WHERE p.polrelid = 'jangbu.accounts'::regclass AND p.polcmd = '*' AND r.rolname = reader
    ) THEN
        RAISE EXCEPTION 'role % writes a project''s rows, so it cannot be one that only reads', reader;
    END IF;
    -- What it was given before, of whole tables or of months of calls, which no policy binds, is taken back first.
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA jangbu FROM %I', reader);
    FOR named, columns IN
        SELECT e.key, (SELECT string_agg(quote_ident(c.name), ', ') FROM jsonb_array_elements_text(e.value) AS c (name))
        FROM jsonb_each(current_setting('jangbu.policy_columns')::jsonb) AS e
        WHERE jsonb_typeof(e.value) = 'array'
    LOOP
        EXECUTE format('GRANT SELECT (%s) ON jangbu.%I TO %I', columns, named, reader);
        CONTINUE WHEN named IN ('services', 'models');
        EXECUTE format('ALTER TABLE jangbu.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format('DROP POLICY IF EXISTS %I ON jangbu.%I', policy, named);
        EXECUTE format(
            'CREATE POLICY %I ON jangbu.%I FOR SELECT TO %I USING (%s)', policy, named, reader,
            -- Which accounts there are for this role, the policy of accounts decides; an array is looked up by index.
            CASE named
                WHEN 'accounts' THEN own
                ELSE 'account_id = ANY (ARRAY(SELECT a.account_id FROM jangbu.accounts AS a))'
            END
        );
    END LOOP;
    FOR named IN
        SELECT e.key FROM jsonb_each(current_setting('jangbu.policy_columns')::jsonb) AS e
        WHERE jsonb_typeof(e.value) = 'null'
    LOOP
        EXECUTE format('GRANT SELECT ON jangbu.%I TO %I', named, reader);
    END LOOP;
    -- This one names nothing that is hidden, and shows what whoever asks may see, and not what its owner may.
    ALTER VIEW jangbu.user_tokens SET (security_invoker = true);
    -- The views that are built on it read it with the rights of the tables' owner, whoever makes it.
    EXECUTE format(
        'ALTER VIEW jangbu.visible_accounts OWNER TO %I',
        (SELECT pg_get_userbyid(c.relowner) FROM pg_class AS c WHERE c.oid = 'jangbu.token_usage'::regclass)
    );
END
$policies$;
