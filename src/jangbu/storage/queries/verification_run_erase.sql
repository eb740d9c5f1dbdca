-- Puts the new name of an erased user where a verification said the old one.
UPDATE jangbu.verification_runs AS r
SET mismatches = (
    SELECT jsonb_agg(
        CASE WHEN m.said ->> 'account_id' = $2::text THEN m.said || jsonb_build_object('user', $3::text) ELSE m.said END
        ORDER BY m.place
    )
    FROM jsonb_array_elements(r.mismatches) WITH ORDINALITY AS m (said, place)
)
WHERE r.project = $1::text AND r.mismatches @> jsonb_build_array(jsonb_build_object('account_id', $2::text))
