-- Forgets the keys that callers of an erased account chose, which may hold anybody's name. What a call's own answer is
-- known by stays, so that the answer is not charged again.
DELETE FROM jangbu.idempotency_keys AS k WHERE k.account_id = $1::uuid AND k.key NOT LIKE 'answer:%'
