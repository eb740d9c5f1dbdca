-- Notes once that a result was seen, for all resources that show it: a batch and the file of its results.
UPDATE jangbu.resources AS r
SET settled_at = clock_timestamp()
WHERE r.account_id = $1::uuid
    AND r.settled_at IS NULL
    AND (
        r.name = $2::text
        OR r.call_id = (
            SELECT c.call_id FROM jangbu.resources AS c WHERE c.account_id = $1::uuid AND c.name = $2::text
        )
    )
RETURNING r.name
