-- Forgets what keys used that have been idle for an hour: nothing of it counts any more, and the next use begins anew.
-- A row that somebody is counting in is left alone, so this waits for nobody.
DELETE FROM jangbu.key_uses AS u
WHERE u.key_id = ANY (
    ARRAY(
        SELECT i.key_id
        FROM jangbu.key_uses AS i
        WHERE i.calls = 0 AND i.minute < statement_timestamp() - interval '1 hour'
        FOR UPDATE SKIP LOCKED
    )
)
