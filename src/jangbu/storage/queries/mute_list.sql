-- What is muted, or was until lately, newest first: an alert that comes late was raised in a time that is over.
SELECT m.mute_id, m.condition, m.muted_at, m.until, m.reason, m.muted_by, m.ended_at
FROM jangbu.alert_mutes AS m
WHERE m.project = $1::text AND m.until > clock_timestamp() - $2::integer * interval '1 second'
    AND m.condition = ANY ($3::text[])
ORDER BY m.muted_at DESC, m.mute_id DESC
LIMIT 1000
