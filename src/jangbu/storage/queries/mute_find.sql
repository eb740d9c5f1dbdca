-- One mute, by the id under which it was made.
SELECT m.mute_id, m.condition, m.muted_at, m.until, m.reason, m.muted_by, m.ended_at
FROM jangbu.alert_mutes AS m
WHERE m.project = $1::text AND m.mute_id = $2::uuid
