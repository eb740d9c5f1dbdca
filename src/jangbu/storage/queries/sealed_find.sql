-- Whether records of the hour of a call were dropped: of its account, or of its project where no account is named.
SELECT EXISTS (
    SELECT
    FROM jangbu.usage_sealed AS s
    JOIN jangbu.accounts AS a ON a.account_id = s.account_id
    WHERE s.at >= date_trunc('hour', jangbu.uuid7_time($1::uuid), 'UTC')
        AND s.at < date_trunc('hour', jangbu.uuid7_time($1::uuid), 'UTC') + interval '1 hour'
        AND ($2::text IS NULL OR a.project = $2::text)
        AND ($3::uuid IS NULL OR s.account_id = $3::uuid)
)
