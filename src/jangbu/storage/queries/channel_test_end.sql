-- Notes how a test ended, unless another one began meanwhile.
UPDATE jangbu.channel_tests AS t
SET ended_at = clock_timestamp(), error = $4::text
WHERE t.project = $1::text AND t.channel = $2::text AND t.tested_at = $3::timestamptz
