-- In how many seconds a channel may be tested again.
SELECT greatest(1, ceil(extract(epoch FROM t.tested_at + $3::integer * interval '1 second' - clock_timestamp())))::integer
FROM jangbu.channel_tests AS t
WHERE t.project = $1::text AND t.channel = $2::text
