-- Removes failures that count no more.
DELETE FROM jangbu.sign_in_failures AS f
WHERE f.project = $1::text AND f.failed_at <= clock_timestamp() - $2::integer * interval '1 second'
