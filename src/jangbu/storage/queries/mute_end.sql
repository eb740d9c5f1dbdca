-- Ends what mutes a condition now. What was raised until now stays muted.
UPDATE jangbu.alert_mutes AS m
SET ended_at = clock_timestamp()
WHERE m.project = $1::text AND m.condition = $2::text AND m.ended_at IS NULL AND m.until > clock_timestamp()
RETURNING m.mute_id
