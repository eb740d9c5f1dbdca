-- How whoever asks stands to row-level security: whether any policy is in force, whether their role passes it, and what
-- of the schema came after the policies: a table without one, a view that shows what its owner may, or what they may not
-- read.
WITH relation AS (
    SELECT
        c.oid,
        c.relname::text AS name,
        CASE
            -- What is a barrier asks itself what whoever asks may see.
            WHEN c.relkind = 'v'
                THEN coalesce(c.reloptions && ARRAY['security_invoker=true', 'security_barrier=true'], false)
            ELSE c.relrowsecurity OR c.relname IN ('models', 'services', 'schema_revision', 'unfinished')
        END AS is_bound
    FROM pg_class AS c
    WHERE c.relnamespace = to_regnamespace('jangbu') AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
)
SELECT
    current_user::text AS role,
    EXISTS (SELECT FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid) AS is_in_force,
    EXISTS (
        SELECT FROM pg_policy AS p JOIN relation AS r ON r.oid = p.polrelid WHERE NOT row_security_active(r.oid)
    ) AS passes,
    ARRAY(
        SELECT r.name
        FROM relation AS r
        -- Nobody reads visible_accounts but by the views that are built on it.
        WHERE NOT r.is_bound OR NOT has_table_privilege(r.oid, 'SELECT') AND r.name <> 'visible_accounts'
        ORDER BY r.name
    ) AS unsettled
