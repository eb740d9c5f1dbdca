-- Lets one role read rows of the ledger, and nothing else: its own account's, told by a claim of the JWT that the request
-- bears (as Supabase and PostgREST hand it on), or all of one project's where no claim is set. It never writes. Whoever
-- owns the tables is not bound by this, so Jangbu itself works as before.
DO $policies$
DECLARE
    reader text := current_setting('jangbu.policy_role');
    claim text := nullif(current_setting('jangbu.policy_claim'), '');
    own text := format('project = %L', current_setting('jangbu.policy_project'));
    policy text := format('jangbu read own as %s', reader);
    named text;
BEGIN
    IF claim IS NOT NULL THEN
        -- Asked for once a statement and not once a row, so that the index of users finds the account.
        own := own || format(
            ' AND user_id = (SELECT nullif(current_setting(''request.jwt.claims'', true), '''')::jsonb ->> %L)', claim
        );
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA jangbu TO %I', reader);
    FOREACH named IN ARRAY ARRAY[
        'accounts', 'balances', 'usage', 'usage_sealed', 'entries', 'holds', 'grants', 'usage_recent', 'usage_quarters',
        'usage_hours', 'usage_six_hours', 'usage_days', 'usage_lifetime'
    ] LOOP
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
        EXECUTE format('GRANT SELECT ON jangbu.%I TO %I', named, reader);
    END LOOP;
    FOREACH named IN ARRAY ARRAY['services', 'models'] LOOP
        EXECUTE format('GRANT SELECT ON jangbu.%I TO %I', named, reader);
    END LOOP;
    -- These views show what whoever asks may see, and not what their owner may.
    FOREACH named IN ARRAY ARRAY['token_usage', 'user_tokens', 'usage_total', 'usage_daily'] LOOP
        EXECUTE format('ALTER VIEW jangbu.%I SET (security_invoker = true)', named);
        EXECUTE format('GRANT SELECT ON jangbu.%I TO %I', named, reader);
    END LOOP;
END
$policies$;
