-- Ends the calls that nobody keeps alive any more: their process was killed, or has not reached the database for long.
-- Keys are locked first and in order.
WITH locked AS (
    SELECT u.key_id
    FROM jangbu.key_uses AS u
    WHERE u.key_id = ANY (ARRAY(SELECT c.key_id FROM jangbu.key_calls AS c WHERE c.expires_at <= statement_timestamp()))
    ORDER BY u.key_id
    FOR NO KEY UPDATE
),
gone AS (
    DELETE FROM jangbu.key_calls AS c
    USING locked AS l
    WHERE c.key_id = l.key_id AND c.expires_at <= statement_timestamp()
    RETURNING c.key_id
),
counted AS (
    UPDATE jangbu.key_uses AS u
    SET calls = u.calls - g.calls
    FROM (SELECT key_id, count(*)::integer AS calls FROM gone GROUP BY key_id) AS g
    WHERE u.key_id = g.key_id
)
SELECT count(*) FROM gone
