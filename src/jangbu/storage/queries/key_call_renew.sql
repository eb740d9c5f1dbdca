-- Keeps a process's calls from expiring, and gives those that are still there. One that is being ended at this moment is
-- let go, so this waits for nobody.
UPDATE jangbu.key_calls AS c
SET expires_at = clock_timestamp() + $3::integer * interval '1 second'
WHERE (c.key_id, c.call_id) IN (
    SELECT k.key_id, k.call_id
    FROM unnest($1::uuid[], $2::uuid[]) AS t (key_id, call_id)
    JOIN jangbu.key_calls AS k ON k.key_id = t.key_id AND k.call_id = t.call_id
    FOR NO KEY UPDATE OF k SKIP LOCKED
)
RETURNING c.key_id, c.call_id
