-- Takes a lone hold that nothing speaks against: the same outcome as hold_take, without the machinery that a batch needs,
-- which takes longer to start than one hold takes to write. A call waits for it before it is made. An account that
-- cannot call, too little left, an id that was held or settled before: these give no row and change nothing, and go to
-- hold_take, which tells why. So a hold that is refused costs two statements.
WITH locked AS (
    SELECT b.granted - b.used - b.held AS available
    FROM jangbu.balances AS b
    WHERE b.account_id = $1::uuid AND b.asset = 1
        AND EXISTS (SELECT FROM jangbu.accounts AS a WHERE a.account_id = $1::uuid AND a.state = 'active')
        AND NOT EXISTS (SELECT FROM jangbu.holds AS h WHERE h.account_id = $1::uuid AND h.id = $2::uuid)
        AND NOT EXISTS (SELECT FROM jangbu.usage AS u WHERE u.account_id = $1::uuid AND u.id = $2::uuid)
    FOR NO KEY UPDATE OF b
),
sized AS (
    SELECT
        l.available,
        CASE
            WHEN $6::boolean THEN least($5::bigint, l.available)
            ELSE least($5::bigint, greatest($4::bigint, $3::bigint + (l.available - $3::bigint) / 2))
        END AS amount
    FROM locked AS l
),
taken AS (
    INSERT INTO jangbu.holds (account_id, id, amount, may_have_left, service, model, owner, expires_at)
    SELECT
        $1::uuid, $2::uuid, s.amount, $9::boolean, $7::text, $8::text, $10::text,
        clock_timestamp() + $11::integer * interval '1 second'
    FROM sized AS s
    WHERE s.amount BETWEEN $4::bigint AND s.available
    ON CONFLICT DO NOTHING
    RETURNING amount
),
moved AS (
    UPDATE jangbu.balances AS b
    SET held = b.held + t.amount,
        updated_at = clock_timestamp()
    FROM taken AS t
    WHERE b.account_id = $1::uuid AND b.asset = 1
)
SELECT t.amount, s.available
FROM taken AS t
CROSS JOIN sized AS s
