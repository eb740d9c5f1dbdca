-- How many caches live whose making is recorded in a month, of all projects: for how long each was kept is written down there
-- when it ends, and its price (cache_complete.sql). A making is known by the name of its cache.
SELECT count(*)
FROM jangbu.resources AS r
JOIN jangbu.idempotency_keys AS k ON k.account_id = r.account_id AND k.key = $2::text || r.name
WHERE r.kind = 'cache'
    AND k.result_id >= jangbu.uuid7_floor($1::date::timestamp AT TIME ZONE 'UTC')
    AND k.result_id < jangbu.uuid7_floor(($1::date + interval '1 month') AT TIME ZONE 'UTC')
