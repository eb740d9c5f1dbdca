-- What signs the tokens of a project's views, and the clock by which they end: in one look, because every view takes it.
SELECT k.secret, clock_timestamp() AS now
FROM jangbu.view_keys AS k
WHERE k.project = $1::text
