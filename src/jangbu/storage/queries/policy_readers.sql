-- Which roles were let read rows, whether they read what calls cost, and what they read beside all that such a role is given
-- now: columns of an older grant, tables of a grant of somebody's own, or a view that shows what its owner may.
WITH reader AS (
    SELECT r.oid, r.rolname::text AS name
    FROM pg_policy AS p
    JOIN pg_roles AS r ON r.oid = ANY (p.polroles)
    WHERE p.polrelid = to_regclass('jangbu.accounts') AND starts_with(p.polname::text, 'jangbu read own as ')
),
seen AS (
    SELECT
        r.name AS role,
        c.relname::text AS relation,
        a.attname = ANY ($2::text[]) AND c.relkind <> 'v' AS is_cost,
        NOT coalesce(
            CASE jsonb_typeof($1::jsonb -> c.relname::text)
                WHEN 'array' THEN ($1::jsonb -> c.relname::text) ? a.attname::text
                WHEN 'null' THEN c.reloptions && ARRAY['security_invoker=true', 'security_barrier=true']
            END,
            false
        ) AS is_surplus
    FROM reader AS r
    JOIN pg_class AS c ON c.relnamespace = to_regnamespace('jangbu') AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE has_column_privilege(r.oid, c.oid, a.attnum, 'SELECT')
)
SELECT
    r.name AS role,
    EXISTS (SELECT FROM seen AS s WHERE s.role = r.name AND s.is_cost) AS with_costs,
    ARRAY(SELECT DISTINCT s.relation FROM seen AS s WHERE s.role = r.name AND s.is_surplus ORDER BY s.relation) AS surplus
FROM reader AS r
ORDER BY r.name
