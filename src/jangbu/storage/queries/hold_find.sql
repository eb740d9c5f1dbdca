-- One hold by its id alone, as an operator names it.
SELECT h.account_id, h.id, h.amount, h.state, h.service, h.model, a.user_id
FROM jangbu.holds AS h
JOIN jangbu.accounts AS a ON a.account_id = h.account_id
WHERE a.project = $1::text AND h.id = $2::uuid
