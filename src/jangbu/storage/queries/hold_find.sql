-- One hold by its id alone, as an operator names it. The mark of one that was never taken (hold_release.sql) has no owner,
-- and is no hold.
SELECT
    h.account_id, h.id, a.user_id, h.amount, h.state, h.service, h.model, h.owner, h.reason, h.taken_at, h.expires_at,
    h.closed_at
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE a.project = $1::text AND h.id = $2::uuid AND h.owner <> ''
