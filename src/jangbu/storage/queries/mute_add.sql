-- Mutes a condition until a time, from now on by the database's clock.
INSERT INTO jangbu.alert_mutes (mute_id, project, condition, until, reason, muted_by)
VALUES ($1::uuid, $2::text, $3::text, $4::timestamptz, $5::text, $6::text)
